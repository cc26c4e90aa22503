"""What every loss promises, over a table of all of them."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P
from jax.test_util import check_grads

from jml import losses
from tests.losses.cases import VIEW_LOSSES
from tests.losses.contract import (
    CASES,
    LABELS,
    PAIR_CASES,
    SPEC_OF,
    X,
    all_at,
    assert_same,
    every,
    every_hyperparameter,
    every_pair,
    for_each,
    ignore_missing_proxies,
    quick_for,
    slow,
    value_and_grad,
)

pytestmark = [pytest.mark.usefixtures("quick_compilation"), ignore_missing_proxies]

# Losses of unit vectors depend on directions from the origin, others on differences.
MOVABLE = [case for case in CASES if not SPEC_OF[case].unit_length]
SCALABLE = [case for case in CASES if SPEC_OF[case].unit_length]


def test_the_contract_covers_every_public_loss():
    """Those of two views are in a file of their own."""
    tested = {loss.func for loss in [*CASES.values(), *VIEW_LOSSES.values()]}
    public = {name for name in losses.__all__ if name.endswith("_loss")}
    assert tested == {getattr(losses, name) for name in public}


@slow
@every
def test_vmap_equals_one_batch_after_another(name):
    batch = jnp.stack([X, 2 * X, X[::-1]])
    labels = jnp.stack([LABELS, LABELS, LABELS * 0])
    together = jax.vmap(jax.value_and_grad(CASES[name]))(batch, labels)
    for i in range(3):
        one = value_and_grad(name, batch[i], labels[i])
        assert_same(jax.tree.map(lambda a, i=i: a[i], together), one, rtol=1e-5)


@quick_for("contrastive-paper", "triplet_semi-paper", "proxy_nca")
def test_items_that_where_leaves_out_count_as_absent(name):
    keep = np.array([1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 0, 1], bool)
    poisoned = np.where(keep[:, None], X, np.nan)
    value, grad = value_and_grad(name, poisoned, where=jnp.asarray(keep))
    dropped, dropped_grad = value_and_grad(name, X[keep], LABELS[keep])
    assert_same((value, grad[keep]), (dropped, dropped_grad))
    assert not np.any(grad[~keep])


@pytest.mark.parametrize("name", ["triplet_semi-original", "triplet_semi-paper"])
def test_an_absent_first_item_is_no_negative(name):
    """The first item stands in where every negative is as far as the positive."""
    x = np.array([[5], [10], [11], [9]], np.float32)
    labels, keep = np.array([7, 0, 0, 1]), np.array([0, 1, 1, 1], bool)
    value = value_and_grad(name, x, labels, where=jnp.asarray(keep))[0]
    np.testing.assert_allclose(value, value_and_grad(name, x[keep], labels[keep])[0])


@every
def test_a_loss_without_items_is_zero(name):
    value, grad = value_and_grad(name, X, where=jnp.zeros(12, bool))
    assert value == 0
    assert not np.any(grad)


@pytest.mark.slow
@every_pair
@pytest.mark.parametrize("block_size", [pytest.param(1, marks=slow), 5])
def test_the_block_size_changes_no_loss(x64, name, block_size):
    x, options = X.astype(np.float64), all_at(name, 1.0)
    whole = value_and_grad(name, x, **options)
    assert_same(whole, value_and_grad(name, x, **options, block_size=block_size), 1e-13)


@slow
@every
def test_losses_in_half_precision_are_computed_in_float32(name):
    """Computed in float32 from the rounded input; the gradient is in its dtype."""
    dtype = jnp.float16 if "paper" in name else jnp.bfloat16
    rounded = X.astype(dtype)
    value, grad = value_and_grad(name, rounded)
    expected, expected_grad = value_and_grad(name, rounded.astype(np.float32))
    assert value.dtype == jnp.float32
    assert grad.dtype == dtype
    assert_same(value, expected)
    assert_same(grad.astype(np.float32), expected_grad, rtol=2e-2)


@every_hyperparameter
def test_a_new_hyperparameter_does_not_recompile(name, argument):
    # A new function: all that is compiled of one function is in one cache.
    compiled = jax.jit(partial(CASES[name]))
    for number in (0.1, 0.7, 2.0):
        compiled(X, LABELS, **{argument: number})
    assert compiled._cache_size() == 1


@slow
@every
def test_derivatives_of_losses_equal_differences(x64, name):
    """By embeddings and hyperparameters, against differences, away from kinks."""

    def loss(x, numbers):
        return CASES[name](x, labels=jnp.asarray(LABELS), **numbers)

    check_grads(loss, (X.astype(float), all_at(name, 1.3)), order=1)


@slow
@pytest.mark.parametrize("name", ["contrastive-paper", "lifted-original"])
def test_second_derivatives_of_losses_equal_differences(x64, name):
    """Forward over reverse, as `jax.hessian` has it: embeddings, hyperparameters."""

    def loss(x, numbers):
        return CASES[name](x, labels=jnp.asarray(LABELS), **numbers)

    both = jax.grad(loss, argnums=(0, 1))
    numbers = all_at(name, 1.3)
    check_grads(both, (X.astype(float), numbers), order=1, modes=["fwd"])


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n == "contrastive-paper" else slow) for n in MOVABLE],
)
def test_moving_all_embeddings_changes_no_loss(x64, name):
    x = X.astype(np.float64)
    assert_same(value_and_grad(name, x), value_and_grad(name, x + 3), rtol=1e-12)


@for_each(SCALABLE)
def test_scaling_all_embeddings_changes_no_loss_of_directions(x64, name):
    x = X.astype(np.float64)
    value, grad = value_and_grad(name, 8 * x)
    assert_same((value, 8 * grad), value_and_grad(name, x), rtol=1e-12)


@quick_for("contrastive-paper")
def test_a_batch_that_all_devices_hold_has_its_loss(name):
    """It counts as often as there are devices, here one."""
    mesh = jax.make_mesh((1,), ("data",), axis_types=(AxisType.Auto,))
    loss = partial(CASES[name], axis_name="data")
    spread = jax.shard_map(loss, mesh=mesh, in_specs=(P(), P()), out_specs=P())
    found = jax.value_and_grad(spread)(jnp.asarray(X), jnp.asarray(LABELS))
    assert_same(found, value_and_grad(name, X))


@every
def test_losses_promote_no_ranks(name):
    """As in all tests, and as some users have it: nothing is broadcast unsaid."""
    assert jax.config.jax_numpy_rank_promotion == "raise"
    options = {"where": jnp.asarray(LABELS > 0), "block_size": 5}
    if name in PAIR_CASES:
        memory = losses.init_memory(20, 4, dtype=jnp.bfloat16)
        options["memory"] = losses.update_memory(memory, X, LABELS)
    loss = partial(CASES[name], labels=jnp.asarray(LABELS), **options)
    jax.eval_shape(jax.value_and_grad(loss), X.astype(np.float16))
