import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from sklearn.neighbors import NearestNeighbors

from jml.evaluation import recall_at_k
from jml.evaluation._recall import _ranks


def oracle(embeddings, labels, k):
    """Sorts the others of every query by (distance, index)."""
    x, hits = np.asarray(embeddings, np.float64), []
    for i in range(len(x)):
        others = [j for j in range(len(x)) if j != i]
        if any(labels[j] == labels[i] for j in others):
            others.sort(key=lambda j: (((x[i] - x[j]) ** 2).sum(), j))
            hits.append(any(labels[j] == labels[i] for j in others[:k]))
    return np.mean(hits)


def gallery_oracle(x, labels, gallery, gallery_labels, k):
    """Sorts the gallery for every query by (distance, index)."""
    hits = []
    for query, label in zip(x.astype(np.float64), labels, strict=True):
        if label in gallery_labels:
            order = np.argsort(((gallery - query) ** 2).sum(1), kind="stable")[:k]
            hits.append((gallery_labels[order] == label).any())
    return np.mean(hits)


@st.composite
def retrievals(draw):
    """Small whole numbers: every distance is exact, ties and duplicates abound."""
    n = draw(st.integers(2, 24))
    d = draw(st.sampled_from([1, 3]))
    row = st.lists(st.integers(-2, 2), min_size=d, max_size=d)
    x = draw(st.lists(row, min_size=n, max_size=n))
    labels = draw(st.lists(st.integers(0, 4), min_size=n, max_size=n))
    labels[1] = labels[0]
    return np.float32(x), np.array(labels)


@settings(max_examples=80, deadline=None)
@given(retrievals(), st.just(4))
@example((np.zeros((2, 1), np.float32), np.zeros(2, int)), 1024)  # two items
@example((np.zeros((9, 2), np.float32), np.arange(9) // 3), 4)  # nothing but ties
@example((np.eye(6, dtype=np.float32), np.zeros(6, int)), 4)  # one class
def test_equals_the_definition(case, block_size):
    x, labels = case
    ks = [k for k in (1, 2, 4, 8) if k < len(x)]
    got = recall_at_k(x, labels, ks=ks, block_size=block_size)
    assert got == {k: pytest.approx(oracle(x, labels, k), abs=1e-12) for k in ks}


def clusters(n, d, classes, *, seed=0, spread=0.7):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    return rng.normal(size=(classes, d))[labels] * spread + rng.normal(
        size=(n, d)
    ), labels


@pytest.mark.parametrize("dtype", [np.float32, np.float64, jnp.bfloat16])
def test_equals_scikit_learn(dtype, x64):
    x, labels = clusters(700, 16, 40)
    x = x.astype(dtype)
    search = NearestNeighbors(n_neighbors=9, algorithm="brute")
    near = search.fit(x.astype(np.float64)).kneighbors(return_distance=False)
    hit = labels[near] == labels[:, None]
    got = recall_at_k(x, labels)
    assert 0.2 < got[1] < got[2] < got[4] < got[8] < 1
    for k, recall in got.items():
        assert recall == pytest.approx(hit[:, :k].any(axis=1).mean(), abs=1e-12)


def test_equals_precision_at_1_of_pytorch_metric_learning():
    x, labels = clusters(300, 8, 30)
    x = x.astype(np.float32)
    peer = AccuracyCalculator(
        include=("precision_at_1",),
        device=torch.device("cpu"),
        knn_func=lambda query, k, reference, same_source: (
            None,
            torch.cdist(query, reference)
            .fill_diagonal_(torch.inf)
            .topk(k, largest=False)[1],
        ),
    )
    expected = peer.get_accuracy(torch.tensor(x), torch.tensor(labels))
    assert recall_at_k(x, labels, ks=(1,))[1] == pytest.approx(
        expected["precision_at_1"], abs=1e-6
    )


def test_a_duplicate_of_the_query_is_a_neighbour():
    x = np.float32([[0, 0], [0, 0], [1, 0], [1, 0]])
    assert recall_at_k(x, np.array([0, 1, 0, 1]), ks=(1,)) == {1: 0.0}
    assert recall_at_k(x, np.array([0, 0, 1, 1]), ks=(1,)) == {1: 1.0}


def test_duplicates_tie_in_floating_point_too():
    # 40 copies of each of 5 vectors, so that every distance comes 40 times, and the
    # neighbours of query i are exactly those of the same vector, lowest index first.
    rng = np.random.default_rng(0)
    which = rng.permutation(np.arange(200) % 5)
    x = rng.normal(size=(5, 33)).astype(np.float32)[which]
    labels = np.arange(200) // 2
    options = {"block_size": 50, "among_themselves": True}
    ranks = np.asarray(_ranks(x, labels, x, labels, 200, **options))
    for i, rank in enumerate(ranks):
        partner = i ^ 1
        same = [j for j in np.flatnonzero(which == which[i]) if j != i]
        if partner in same:
            assert rank == same.index(partner)
        else:
            assert rank >= len(same)


@pytest.mark.parametrize(
    "change",
    [lambda x: x + 1000, lambda x: x * 2.0**100, lambda x: x / 2.0**100],
    ids=["far", "huge", "tiny"],
)
def test_far_huge_and_tiny_embeddings_lose_nothing(change):
    x, labels = clusters(400, 4, 40)
    x = (x * 2**10).round().astype(np.float32) / 2**10  # so that adding 1000 is exact
    got = recall_at_k(change(x), labels)
    assert got == recall_at_k(x, labels)
    assert got[1] == pytest.approx(oracle(x, labels, 1), abs=1e-12)


def test_labels_of_any_size_and_sign():
    x, labels = clusters(60, 4, 6)
    wide = np.array([-(2**62), 2**62, 0, 2**32, 2**33, 7])[labels]  # equal in 32 bits
    assert recall_at_k(x, wide) == recall_at_k(x, labels)


def test_lone_queries_are_left_out_and_stay_in_the_gallery():
    x = np.float32([[0], [1], [0.4]])  # the nearest to both others is the lone one
    assert recall_at_k(x, np.array([5, 5, 9]), ks=(1, 2)) == {1: 0.0, 2: 1.0}


def test_one_compilation_for_galleries_that_pad_to_the_same_size():
    x, labels = clusters(60, 4, 6)
    recall_at_k(x, labels, block_size=32)
    before = _ranks._cache_size()
    recall_at_k(x[:50], labels[:50], block_size=32)
    assert _ranks._cache_size() == before


def test_full_precision_and_no_square_matrix():
    n, block = 4096, 64
    shapes = jax.ShapeDtypeStruct((n, 8), jnp.float32), jnp.zeros(n, int)
    options = {"block_size": block, "among_themselves": True}
    lowered = _ranks.lower(*shapes, *shapes, n, **options)
    assert "precision = [HIGHEST, HIGHEST]" in lowered.as_text()  # a GPU would round
    compiled = lowered.compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 8 * block * n * 4 < n * n * 4


@settings(max_examples=100)
@given(queries=retrievals(), gallery=retrievals(), block_size=st.sampled_from([5, 24]))
def test_a_gallery_is_searched_whole(queries, gallery, block_size):
    (x, labels), (y, others) = queries, gallery
    columns = min(x.shape[1], y.shape[1])
    x, y = x[:, :columns], y[:, :columns]
    others[0] = labels[0]
    ks = sorted({1, 2, len(y)})
    got = recall_at_k(x, labels, y, others, ks=ks, block_size=block_size)
    for k in ks:
        expected = gallery_oracle(x, labels, y, others, k)
        assert got[k] == pytest.approx(expected, abs=1e-12)


GOOD = np.zeros((4, 2), np.float32), np.zeros(4, int)


@pytest.mark.parametrize(
    ("x", "labels", "options", "words"),
    [
        (*GOOD, {"ks": (1, 4)}, "from 1 to 3"),
        (*GOOD, {"ks": (0,)}, "from 1 to 3"),
        (*GOOD, {"ks": (1,), "block_size": 0}, "`block_size` must be positive"),
        (GOOD[0].astype(int), GOOD[1], {}, "`embeddings` must be floating"),
        (GOOD[0][0], GOOD[1], {}, "`embeddings` must be floating"),
        (GOOD[0], GOOD[1][:3], {}, "`labels` must be integer [4]"),
        (GOOD[0], GOOD[1] / 1.0, {}, "`labels` must be integer [4]"),
        (GOOD[0][:1], GOOD[1][:1], {}, "two items"),
        (GOOD[0], np.arange(4), {"ks": (1,)}, "no query has another"),
        (np.float32([[0], [np.nan], [1]]), np.zeros(3, int), {"ks": (1,)}, "row 1"),
        (np.float32([[0], [1], [np.inf]]), np.zeros(3, int), {"ks": (1,)}, "row 2"),
    ],
)
def test_bad_input_is_named(x, labels, options, words):
    with pytest.raises(ValueError, match=r"^recall_at_k: ") as caught:
        recall_at_k(x, labels, **options)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("gallery", "words"),
    [
        ((GOOD[0],), "must be given together"),
        ((GOOD[0][:, :1], GOOD[1]), "`gallery` must have 2 columns"),
        ((GOOD[0][:0], GOOD[1][:0]), "`gallery` must hold an item"),
        ((GOOD[0], GOOD[1] + 1), "no query has another"),
        ((GOOD[0], GOOD[1][:3]), "`gallery_labels` must be integer [4]"),
    ],
)
def test_a_bad_gallery_is_named(gallery, words):
    with pytest.raises(ValueError, match=r"^recall_at_k: ") as caught:
        recall_at_k(*GOOD, *gallery, ks=(1,))
    assert words in str(caught.value)
