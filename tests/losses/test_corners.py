"""Corners where two arguments of a loss meet."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from jml import losses, miners
from tests.losses.contract import PAIR_CASES, value_and_grad

pytestmark = pytest.mark.usefixtures("quick_compilation")

RNG = np.random.default_rng(0)
X, LABELS = RNG.normal(size=(10, 4)), RNG.integers(0, 3, 10)


def test_the_original_contrastive_loss_has_one_mean(x64):
    """It counts the terms above 0 already."""
    mean, nonzero = (
        losses.contrastive_loss(X, LABELS, reduction=word)
        for word in ("mean", "nonzero")
    )
    assert mean == nonzero


@pytest.mark.slow
@pytest.mark.parametrize("mining", ["all", "semi"])
def test_smooth_swapped_triplets_curve_as_their_gradient_changes(x64, mining):
    """Forward over reverse, by references that a positive is compared with, too."""
    words = {"mining": mining, "convention": "paper", "smooth": True, "swap": True}

    def loss(x):
        return losses.triplet_loss(x, LABELS, margin=0.7, **words)

    check_grads(jax.grad(loss), (X,), order=1, modes=["fwd"])


def test_a_miner_of_triplets_knows_none_of_an_anchor_with_itself(x64):
    """So both conventions have the same triplets."""
    x = np.array([[0.0], [0.1], [5.0], [5.1]])
    values = [
        losses.triplet_loss(
            *(x, np.array([0, 0, 1, 1])),
            margin=30.0,
            mining="all",
            convention=convention,
            miner=miners.triplet_margin(kind="easy"),
        )
        for convention in ("original", "paper")
    ]
    assert values[0] == values[1] > 0


def test_a_guide_that_knows_no_positive_drops_no_negative(x64):
    """Here the only positives are in a memory."""
    labels = np.arange(10)
    memory = losses.init_memory(10, 4, dtype=jnp.float64)
    memory = losses.update_memory(memory, X + 0.1, labels)
    guided = losses.supcon_loss(X, labels, memory=memory, guide=X)
    np.testing.assert_allclose(
        guided, losses.supcon_loss(X, labels, memory=memory), rtol=1e-12
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", PAIR_CASES)
def test_a_loss_without_references_is_zero(name):
    none = {"references": np.zeros((0, 4)), "reference_labels": np.zeros(0, int)}
    x = np.ones((12, 4), np.float32)
    value, gradient = value_and_grad(name, x, **none)
    assert value == 0
    assert not np.any(gradient)
