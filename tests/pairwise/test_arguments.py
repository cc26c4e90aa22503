"""Arguments of a pair loss that do not fit each other: one line that names them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from jml import losses, miners

X = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
Y = X[:4] + 1
LABELS = np.array([0, 0, 1, 1, 2, 2])
MANY = np.eye(3, dtype=bool)[LABELS]
RELATED = (LABELS[:, None] == LABELS).astype(np.float32)
MEMORY = losses.update_memory(losses.init_memory(5, 3), X, LABELS)


def given(**changed):
    """The arguments of a loss, some of them changed."""
    return {"embeddings": X, "labels": LABELS} | changed


def no_rows(rows):
    return rows.positive


def numbers_for_masks(rows):
    return rows.keep(rows.positive * 1.0, rows.negative * 1.0)


def reads_squared(rows):
    return rows.keep(rows.squared < 1, rows.negative)


WRONG = {
    "labels of both kinds": (
        given(related=RELATED),
        "`labels` and `related` exclude each other; pass one of them, got both",
    ),
    "no labels": (given(labels=None), "pass one of them, got neither"),
    "float labels": (given(labels=LABELS * 1.0), "`labels` must be integer, got float"),
    "integers for booleans": (
        given(labels=MANY.astype(int)),
        r"`labels` must have shape \[B\], got \(6, 3\)",
    ),
    "too few labels": (given(labels=LABELS[:5]), "`labels` must have one entry for"),
    "a wide relation": (
        given(labels=None, related=np.ones((6, 7))),
        r"`related` must have shape \(6, 6\), a row for each embedding and a column",
    ),
    "a relation without the memory": (
        given(labels=None, related=RELATED, memory=MEMORY),
        r"`related` must have shape \(6, 11\)",
    ),
    "a relation to references": (
        given(labels=None, related=RELATED, references=Y),
        r"`related` must have shape \(6, 4\)",
    ),
    "complex relations": (
        given(labels=None, related=RELATED * 1j),
        "`related` must be numbers or booleans, got complex64",
    ),
    "references without labels": (
        given(references=Y),
        "`references` need `reference_labels`, one for each of the 4 references",
    ),
    "labels without references": (
        given(reference_labels=LABELS),
        "`reference_labels` needs `references`, got None",
    ),
    "where without references": (
        given(reference_where=LABELS > 0),
        "`reference_where` needs `references`, got None",
    ),
    "labels beside a relation": (
        given(
            labels=None, related=RELATED[:, :4], references=Y, reference_labels=LABELS
        ),
        "`reference_labels` and `related` exclude each other",
    ),
    "float reference labels": (
        given(references=Y, reference_labels=LABELS[:4] * 1.0),
        "`reference_labels` must be integer, got float64",
    ),
    "other labels of references": (
        given(references=Y, reference_labels=MANY[:4]),
        r"`reference_labels` must be integers \[B\], as `labels` are, got bool",
    ),
    "fewer labels of references": (
        given(labels=MANY, references=Y, reference_labels=MANY[:4, :2]),
        r"`reference_labels` must be booleans \[B, 3\], as `labels` are, got bool",
    ),
    "other labels of a memory": (
        given(labels=MANY, memory=MEMORY),
        r"`memory.labels` must be booleans \[B, 3\], as `labels` are, got int",
    ),
    "longer references": (
        given(references=np.ones((4, 5), np.float32), reference_labels=LABELS[:4]),
        "`references` must have 3 columns, as the embeddings have, got 5",
    ),
    "a number for a miner": (
        given(miner=3),
        "`miner` must be a function of `Rows`, such as those that jml.miners makes",
    ),
    "a miner's maker": (
        given(miner=miners.multi_similarity),
        "`miner` must be a function of `Rows`, such as those that jml.miners makes",
    ),
    "a miner of masks": (given(miner=no_rows), "`miner` must return the `Rows`"),
    "a miner of numbers": (
        given(miner=numbers_for_masks),
        "`miner` must take `Rows` and return `Rows` with other masks, of booleans",
    ),
    "a miner that reads squared distances": (
        given(miner=reads_squared),
        "a miner reads `rows.distance` or `rows.cosine`",
    ),
    "an unknown reduction": (
        given(reduction="median"),
        "`reduction` must be one of 'mean', 'nonzero', 'sum', 'none', got 'median'",
    ),
    "no similarity": (
        given(similarity="euclidean"),
        "`similarity` must be one of 'cosine', 'dot', got 'euclidean'",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_arguments_that_do_not_fit_are_refused_in_one_line(wrong):
    arguments, message = WRONG[wrong]
    with pytest.raises(ValueError, match=message) as caught:
        losses.multi_similarity_loss(**arguments)
    if "reads `rows" not in message:  # rows do not know whose they are
        assert str(caught.value).startswith("multi_similarity_loss: ")
    assert "\n" not in str(caught.value)


def test_makers_of_miners_check_their_arguments():
    with pytest.raises(ValueError, match="multi_similarity: `epsilon` must be a numb"):
        miners.multi_similarity(epsilon="a")
    with pytest.raises(ValueError, match="easy_hard: `positives` must be one of"):
        miners.easy_hard(positives="near")
    with pytest.raises(ValueError, match='not be "semihard" and "all"; pass "easy" or'):
        miners.easy_hard(positives="all", negatives="semihard")
    with pytest.raises(ValueError, match="`pos_range` must be two numbers, the least"):
        miners.easy_hard(pos_range=1.0)
    with pytest.raises(ValueError, match="triplet_margin: `kind` must be one of 'all'"):
        miners.triplet_margin(kind="soft")
    with pytest.raises(ValueError, match="distance_weighted: `key` must be a key from"):
        miners.distance_weighted(0)


def test_a_miner_compiles_once_for_all_its_numbers_and_keys():
    from jml.pairwise._pair_loss import _pair_loss

    made = [
        miners.multi_similarity(epsilon=0.1),
        miners.easy_hard(positives="hard", negatives="semihard"),
        Partial(lambda rows: rows),
    ]
    for miner in made:
        losses.multi_similarity_loss(X, LABELS, miner=miner)
    compiled = _pair_loss._cache_size()
    losses.multi_similarity_loss(X, LABELS, miner=miners.multi_similarity(epsilon=1))
    again = miners.easy_hard(positives="hard", negatives="semihard")
    losses.multi_similarity_loss(X, LABELS, miner=again)
    assert _pair_loss._cache_size() == compiled


def test_related_pairs_weigh_and_are_ignored_as_in_the_formula():
    """A weight of 2 is the pair twice in a log-sum; -1 and NaN leave a pair out."""
    related = RELATED.copy()
    related[0, 1] = 2
    related[2, 4], related[2, 5] = -1, np.nan
    value = losses.multi_similarity_loss(X, related=related)
    x = X / np.linalg.norm(X, axis=1, keepdims=True)
    terms = []
    for i in range(6):
        attract = repel = 1.0
        for j in range(6):
            above = x[i] @ x[j] - 0.5
            if j == i:
                continue
            if related[i, j] > 0:
                attract += related[i, j] * np.exp(-2 * above)
            elif related[i, j] == 0:
                repel += np.exp(50 * above)
        terms.append(np.log(attract) / 2 + np.log(repel) / 50)
    np.testing.assert_allclose(value, np.mean(terms), rtol=1e-6)


def test_a_memory_holds_many_labels_an_item():
    memory = losses.init_memory(5, 3, num_labels=3)
    memory = losses.update_memory(memory, X, MANY)
    value = losses.multi_similarity_loss(X, MANY, memory=memory)
    expected = losses.multi_similarity_loss(X, LABELS, memory=MEMORY)
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    with pytest.raises(ValueError, match=r"`labels` must be booleans \[B, 3\], as"):
        losses.update_memory(memory, jnp.asarray(X), LABELS)


def test_a_miner_with_a_traced_value_is_told_how_to_pass_it():
    def loss(farthest):
        def near(rows):
            return rows.keep(rows.distance < farthest, rows.negative)

        return losses.multi_similarity_loss(X, LABELS, miner=near)

    with pytest.raises(ValueError, match=r"pass it by jax.tree_util.Partial\("):
        jax.jit(loss)(1.0)


def test_huge_weights_of_related_pairs_are_finite():
    def loss(x):
        return losses.supcon_loss(x, related=RELATED * np.float32(1e38))

    value, gradient = jax.value_and_grad(loss)(X)
    assert np.isfinite(value)
    assert np.all(np.isfinite(gradient))


def test_draws_of_negatives_reach_duplicates():
    """A distance of 0 is as likely as the least one that counts."""
    x = np.repeat(X[:2], 3, axis=0)
    miner = miners.distance_weighted(jax.random.key(0), cutoff=0.0)
    drawn = losses.supcon_loss(x, LABELS, miner=miner, reduction="none")
    assert np.all(drawn[3:5] > 0)
