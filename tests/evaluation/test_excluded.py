"""Items that are left out of rankings: copies of the query, and its own group."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jml.evaluation import (
    count_relevant,
    evaluate,
    nearest_neighbours,
    recall_at_k,
)

from .cases import clusters, whole_rows

RETRIEVAL = {"clusterings": 0, "resamples": 0}


def market_1501(query, q_pids, q_camids, gallery, g_pids, g_camids):
    """CMC and average precision, by the definition of Market-1501's protocol."""
    curves, precisions = [], []
    for x, pid, camid in zip(query, q_pids, q_camids, strict=True):
        order = np.argsort(((gallery - x) ** 2).sum(axis=1), kind="stable")
        junk = (g_pids[order] == pid) & (g_camids[order] == camid)
        hits = (g_pids[order] == pid)[~junk]
        if hits.any():
            curves.append(np.cumsum(hits) > 0)
            precisions.append(
                (np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].mean()
            )
    return curves, precisions


def labelled(n, seed, classes=4, cameras=3):
    rng = np.random.default_rng(seed)
    x = clusters(n, 3, classes, seed=seed)[0]
    return x, rng.integers(0, classes, n), rng.integers(0, cameras, n)


@pytest.mark.parametrize("way", ["counted", "sorted"])
@pytest.mark.parametrize("seed", range(4))
def test_groups_are_market_1501s_cameras(way, seed, monkeypatch):
    monkeypatch.setattr(
        "jml.evaluation._ranking._ranks.SORT_ABOVE", 0 if way == "sorted" else 99
    )
    x, labels, cameras = labelled(30, seed)
    y, others, their_cameras = labelled(50, seed + 100)
    curves, precisions = market_1501(x, labels, cameras, y, others, their_cameras)
    groups = {"groups": cameras, "gallery_groups": their_cameras}
    found = evaluate(x, labels, y, others, ks=(1, 5), **groups, **RETRIEVAL)
    assert found.queries == len(precisions)
    assert found.metrics["map"] == pytest.approx(np.mean(precisions), abs=1e-12)
    for k in (1, 5):
        expected = np.mean([curve[k - 1] for curve in curves])
        assert found.metrics[f"recall@{k}"] == pytest.approx(expected, abs=1e-12)
    recall = recall_at_k(x, labels, y, others, ks=1, **groups)
    assert recall == {1: pytest.approx(found.metrics["recall@1"])}


def expected_order(x, y, out):
    """Of each query the gallery by distance and index, without what is left out."""
    distances = ((np.float64(x)[:, None] - np.float64(y)) ** 2).sum(axis=2)
    orders = np.argsort(distances, axis=1, kind="stable")
    return [order[~out[i][order]] for i, order in enumerate(orders)]


def check(x, labels, y, others, out, **arguments):
    """Compares metrics and neighbours with rankings made by definition."""
    orders = expected_order(x, y, out)
    hits = [others[order] == label for order, label in zip(orders, labels, strict=True)]
    hits = [row for row in hits if row.any()]
    gallery = () if y is x else (y, others)
    if not hits:
        with pytest.raises(ValueError, match="no query has another item"):
            evaluate(x, labels, *gallery, **arguments, **RETRIEVAL)
        return
    found = evaluate(x, labels, *gallery, ks=1, **arguments, **RETRIEVAL)
    assert found.queries == len(hits)
    assert found.left_out == len(x) - len(hits)
    gains = [(np.cumsum(h) / np.arange(1, len(h) + 1))[h].mean() for h in hits]
    assert found.metrics["map"] == pytest.approx(np.mean(gains), abs=1e-12)
    first = np.mean([h[0] for h in hits])
    assert found.metrics["recall@1"] == pytest.approx(first, abs=1e-12)
    k = min(1, *map(len, orders))  # one, for one program
    if k:
        if "groups" in arguments:
            arguments |= {"labels": labels}
            arguments |= {} if y is x else {"gallery_labels": others}
        near, _ = nearest_neighbours(x, *gallery[:1], k=k, **arguments)
        np.testing.assert_array_equal(near, [order[:k] for order in orders])


numbers = st.lists(st.integers(-1, 3), min_size=20, max_size=20).map(np.array)


@pytest.mark.slow
@settings(max_examples=15)
@given(whole_rows(20), numbers, numbers, numbers)
def test_evaluate_leaves_out_ids_and_groups_among_the_queries(x, labels, ids, groups):
    same = (ids[:, None] == ids) & (ids >= 0) | np.eye(20, dtype=bool)
    check(x, labels, x, labels, same, ids=ids)
    grouped = (labels[:, None] == labels) & (groups[:, None] == groups) & (groups >= 0)
    check(x, labels, x, labels, np.eye(20, dtype=bool) | grouped, groups=groups)
    check(x, labels, x, labels, same | grouped, ids=ids, groups=groups)


@settings(max_examples=15)
@given(
    st.tuples(whole_rows(20), *[numbers] * 3), st.tuples(whole_rows(20), *[numbers] * 3)
)
def test_evaluate_leaves_out_ids_and_groups_in_a_gallery(query, gallery):
    x, labels, ids, groups = query
    y, others, theirs, their_groups = gallery
    same = (ids[:, None] == theirs) & (ids[:, None] >= 0)
    grouped = (labels[:, None] == others) & (groups[:, None] == their_groups)
    grouped &= groups[:, None] >= 0
    by_id = {"ids": ids, "gallery_ids": theirs}
    by_group = {"groups": groups, "gallery_groups": their_groups}
    check(x, labels, y, others, same, **by_id)
    check(x, labels, y, others, same | grouped, **by_id, **by_group)


BAD = [
    (False, {"gallery_ids": 20}, "`gallery_ids` must be None without"),
    (True, {"ids": 20}, "`ids` and `gallery_ids` must be given together"),
    (True, {"gallery_groups": 20}, "`gallery_groups` must be given together"),
    (False, {"ids": 3}, r"`ids` must be integer \[20\]"),
    (False, {"groups": 0.5}, r"`groups` must be integer \[20\]"),
    (True, {"ids": 20, "gallery_ids": 20, "self_index": 20}, "`self_index` or `ids`"),
]


@pytest.mark.usefixtures("any_arguments")
@pytest.mark.parametrize(("with_gallery", "lengths", "words"), BAD, ids=str)
def test_evaluate_names_ids_and_groups_that_do_not_fit(with_gallery, lengths, words):
    x, labels, ids = labelled(20, 0)
    options = {
        name: ids[:n] if isinstance(n, int) else ids * n for name, n in lengths.items()
    }
    with pytest.raises(ValueError, match=words):
        evaluate(x, labels, *((x, labels) if with_gallery else ()), **options)


def test_nearest_neighbours_needs_labels_for_groups():
    x, _, groups = labelled(20, 0)
    with pytest.raises(ValueError, match="`groups` go with `labels`"):
        nearest_neighbours(x, k=1, groups=groups)


def test_a_warning_counts_queries_that_are_in_the_gallery():
    x, labels, _ = labelled(20, 0)
    y = np.concatenate([x[:7], x[:3] + 1])
    others = np.concatenate([labels[:7], labels[:3]])
    with pytest.warns(
        UserWarning, match="7 of 20 queries equal a gallery row"
    ) as caught:
        evaluate(x, labels, y, others, ks=1, **RETRIEVAL)
    assert len(caught) == 1
    own = np.where(np.arange(20) < 7, np.arange(20), -1)
    evaluate(x, labels, y, others, ks=1, self_index=own, **RETRIEVAL)


def test_copies_that_groups_leave_out_are_not_warned_of():
    x, y = np.arange(12.0, dtype=np.float32)[:, None], np.arange(12) // 3
    groups = {"groups": np.zeros(5, int), "gallery_groups": y}
    with pytest.warns(UserWarning, match="2 of 5 queries equal a gallery row"):
        evaluate(x[:5], y[:5], x, y, **groups, **RETRIEVAL)


@pytest.mark.usefixtures("any_arguments")
@pytest.mark.parametrize(
    ("ks", "map_ks"),
    [(np.array(1), np.int64(2)), (iter([1]), torch.tensor([2]))],
    ids=["NumPy", "iterator and tensor"],
)
def test_ks_may_be_numbers_or_iterables(ks, map_ks):
    x, labels, _ = labelled(20, 0)
    plain = evaluate(x, labels, ks=(1,), map_ks=(2,), **RETRIEVAL).metrics
    assert evaluate(x, labels, ks=ks, map_ks=map_ks, **RETRIEVAL).metrics == plain


@pytest.mark.usefixtures("any_arguments")
@pytest.mark.parametrize("ks", [1.0, True, np.array([[1]]), "1", [1, 2.5]], ids=repr)
def test_ks_that_are_no_integers_are_refused(ks):
    x, labels, _ = labelled(20, 0)
    with pytest.raises(ValueError, match="`ks` must be an integer from 1 to 19"):
        evaluate(x, labels, ks=ks, **RETRIEVAL)


KINDS = {
    "with a gradient": lambda x: x.requires_grad_(),
    "float64": lambda x: x.double(),
    "bfloat16": lambda x: x.bfloat16(),
}


@pytest.mark.usefixtures("any_arguments")
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_evaluate_takes_tensors_of_pytorch(kind):
    x, labels, cameras = labelled(20, 0)
    tensor = kind(torch.from_numpy(x))
    numbers = tensor.detach().float().numpy()
    plain = evaluate(numbers, labels, groups=cameras, ks=1, **RETRIEVAL).metrics
    labels, cameras = torch.from_numpy(labels), torch.from_numpy(cameras)
    found = evaluate(tensor, labels, groups=cameras, ks=(1,), **RETRIEVAL)
    assert found.metrics == plain


@pytest.mark.parametrize("grouped", [False, True])
def test_a_query_in_the_gallery_is_not_relevant_to_itself(grouped):
    rng = np.random.default_rng(0)
    others, their_groups = rng.integers(0, 4, 30), rng.integers(-1, 3, 30)
    own = rng.permutation(30)[:12]
    labels, groups = others[own], their_groups[own]
    relevant = labels[:, None] == others
    relevant[np.arange(12), own] = False
    sides = {}
    if grouped:
        sides = {"groups": groups, "gallery_groups": their_groups}
        relevant &= (groups[:, None] != their_groups) | (groups[:, None] < 0)
    found = count_relevant(labels, others, self_index=own, **sides)
    np.testing.assert_array_equal(found, relevant.sum(axis=1))
