"""What is particular to losses of ranks and of histograms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jml import losses
from tests.losses.definitions import value_of

pytestmark = pytest.mark.usefixtures("quick_compilation")

RNG = np.random.default_rng(3)
X, LABELS = RNG.normal(size=(20, 6)), RNG.integers(0, 3, 20)


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("fast_ap", {"bins": 1}),
        ("fast_ap", {"bins": 37}),
        ("histogram", {"bins": 1}),
        ("histogram", {"bins": 37}),
        ("recall_at_k", {"ks": (3,), "temperature": 0.1, "rank_temperature": 0.5}),
    ],
)
def test_static_numbers_may_be_other_ones(x64, name, numbers):
    loss = getattr(losses, f"{name}_loss")
    expected = value_of(name, X, LABELS, **numbers)
    np.testing.assert_allclose(loss(X, LABELS, **numbers), expected, rtol=1e-12)


def test_more_soft_hits_than_k_count_as_k(x64):
    """With many positives that are equally near: 19 have the rank 10."""
    same = np.ones_like(X)
    found = losses.recall_at_k_loss(same, LABELS * 0, ks=(12, 16), temperature=0.1)
    numbers = {"ks": (12, 16), "temperature": 0.1, "rank_temperature": 1.0}
    expected = value_of("recall_at_k", same, LABELS * 0, **numbers)
    np.testing.assert_allclose(found, expected, atol=1e-15)
    np.testing.assert_allclose(found, 0, atol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_similarities_of_one_count_in_the_last_node(dtype, x64):
    """Which rounding may exceed: a batch of copies, of one direction or opposite."""
    direction = RNG.normal(size=6).astype(dtype)
    scales = RNG.uniform(0.1, 9, 20).astype(dtype)
    x = scales[:, None] * direction
    value, gradient = jax.value_and_grad(losses.histogram_loss)(x, LABELS)
    np.testing.assert_allclose(value, 1, rtol=1e-4)
    assert np.all(np.isfinite(gradient))
    apart = np.where(LABELS > 0, -1, 1).astype(dtype)[:, None] * x
    value, gradient = jax.value_and_grad(losses.histogram_loss)(apart, 1 * (LABELS > 0))
    np.testing.assert_allclose(value, 0, atol=1e-6)
    assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize("name", ["fast_ap", "histogram", "smooth_ap", "pnp"])
def test_a_nan_shows(name):
    x = X.copy()
    x[3, 2] = np.nan
    assert np.isnan(getattr(losses, f"{name}_loss")(x, LABELS))


@pytest.mark.parametrize("variant", ["O", "Ds", "Dq", "Iu", "Ib"])
def test_a_perfect_ranking_has_no_loss(variant):
    x = 10 * jnp.eye(3)[LABELS]
    assert losses.pnp_loss(x, LABELS, variant=variant) < 1e-30
    assert losses.smooth_ap_loss(x, LABELS) < 1e-30
    assert losses.fast_ap_loss(x, LABELS) == 0
    assert losses.histogram_loss(x, LABELS) < 1e-6


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("fast_ap", {"bins": 0}, "`bins` must be a positive integer, got 0"),
        ("fast_ap", {"bins": 2.0}, "`bins` must be a positive integer, got 2.0"),
        ("histogram", {"bins": True}, "`bins` must be a positive integer, got True"),
        ("recall_at_k", {"ks": 4}, "`ks` must be a tuple of positive integers, .* 4"),
        ("recall_at_k", {"ks": ()}, r"`ks` must be a tuple of positive .* \(\)"),
        ("recall_at_k", {"ks": (1, 0)}, "`ks` must be a positive integer, got 0"),
        ("pnp", {"variant": "X"}, "`variant` must be one of 'O', .*got 'X'"),
        ("smooth_ap", {"include_anchor": 1}, "`include_anchor` must be .*, got 1"),
        ("smooth_ap", {"temperature": "a"}, "`temperature` must be a number"),
    ],
)
def test_options_that_are_none_are_named(name, options, message):
    with pytest.raises(ValueError, match=f"^{name}_loss: {message}"):
        getattr(losses, f"{name}_loss")(X, LABELS, **options)
