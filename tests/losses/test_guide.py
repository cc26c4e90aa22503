"""The guide of the supervised contrastive loss: what it leaves out, and its errors."""

import jax.numpy as jnp
import numpy as np
import pytest

from jml import miners
from jml.losses import init_memory, supcon_loss, update_memory

pytestmark = pytest.mark.usefixtures("quick_compilation")

RNG = np.random.default_rng(0)
X, LABELS = RNG.normal(size=(10, 4)).astype(np.float32), np.arange(10) // 2
GUIDE = RNG.normal(size=(10, 3)).astype(np.float32)


def relations(remembered):
    """1 for a positive, 0 for a negative, -1 for a negative nearer to the guide."""
    unit = GUIDE / np.linalg.norm(GUIDE, axis=1, keepdims=True)
    same = LABELS[:, None] == LABELS[None]
    found = unit @ unit.T
    partner = found[np.arange(10), np.arange(10) ^ 1]
    related = np.where(same, 1, np.where(found > partner[:, None], -1, 0))
    assert (related < 0).any(1).sum() > 2
    return np.concatenate([related, LABELS[:, None] == remembered[None]], axis=1)


@pytest.mark.parametrize("miner", [None, miners.multi_similarity(epsilon=0.1)])
def test_a_guide_goes_before_the_miner_and_leaves_a_memory_as_it_is(miner):
    remembered = np.array([0, 7, 3])
    memory = init_memory(3, 4)
    memory = update_memory(memory, jnp.asarray(X[:3] + 1), jnp.asarray(remembered))
    options = {"memory": memory, "miner": miner, "block_size": 3}
    guided = supcon_loss(X, LABELS, guide=GUIDE, **options)
    related = supcon_loss(X, related=relations(remembered), **options)
    assert guided == related != supcon_loss(X, LABELS, **options)


def test_a_guide_may_hold_anything_where_an_item_is_left_out():
    where, guide = np.arange(10) != 4, GUIDE.copy()
    guide[4] = np.nan
    found = supcon_loss(X, LABELS, guide=guide, where=where)
    assert found == supcon_loss(X[where], LABELS[where], guide=GUIDE[where])


OTHERS = {"references": X, "reference_labels": LABELS}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"guide": GUIDE[:3]}, "`guide` must have a row for each of the 10 embeddings"),
        ({"guide": LABELS[:, None]}, "`guide` must be floating, got int64"),
        ({"guide": GUIDE, "embeddings": None}, "`embeddings` must be an array"),
        ({"guide": "a"}, r"`guide` must be an array \[B, G\] of JAX or NumPy, got a"),
        ({"reference_guide": GUIDE}, "`reference_guide` must be given where both"),
        ({"guide": GUIDE, **OTHERS}, "`reference_guide` must be given where both"),
        ({"guide": GUIDE, "miner": 3}, "`miner` must be a function of `Rows`"),
        (
            {"guide": GUIDE, "reference_guide": GUIDE[:, :2], **OTHERS},
            "`reference_guide` must have 3 columns, as `guide` has, got 2",
        ),
    ],
)
def test_errors_of_a_guide_name_the_argument(options, message):
    with pytest.raises(ValueError, match=f"^supcon_loss: {message}"):
        supcon_loss(**{"embeddings": X, "labels": LABELS, **options})
