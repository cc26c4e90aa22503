"""What every loss promises, over a table of all of them."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

from jml import losses
from tests.losses.cases import TOWER_LOSSES, VIEW_LOSSES
from tests.losses.contract import (
    CASES,
    LABELS,
    PAIR_CASES,
    SPEC_OF,
    X,
    all_at,
    arguments,
    assert_finite,
    assert_same,
    evaluate,
    evaluate_exactly,
    every,
    for_each,
    ignore_missing_proxies,
    program,
    representative,
    slow,
    value_and_grad,
)
from tests.parity import assert_close

pytestmark = [pytest.mark.usefixtures("quick_compilation"), ignore_missing_proxies]

# Losses of unit vectors depend on directions from the origin, others on differences.
MOVABLE = [case for case in CASES if not SPEC_OF[case].unit_length]
SCALABLE = [case for case in CASES if SPEC_OF[case].unit_length]
# Of two conventions, one of which is in no other test with blocks.
PARITY_CASES = [case for case in PAIR_CASES if "-" in case] + ["multi_similarity"]
# Of the items of a class these take the first ones.
OF_THE_FIRST = ("n_pairs",)
# Their weights pass no gradient, so that their gradient is no slope of the value.
DETACHED = ("circle",)


def test_the_contract_covers_every_public_loss():
    """Those of two views are in a file of their own."""
    tested = {
        loss.func
        for loss in [*CASES.values(), *VIEW_LOSSES.values(), *TOWER_LOSSES.values()]
    }
    public = {name for name in losses.__all__ if name.endswith("_loss")}
    assert tested == {getattr(losses, name) for name in public}


@slow
@every
def test_vmap_equals_one_batch_after_another(name):
    batch, labels = [X, 2 * X, X[::-1]], [LABELS, LABELS, LABELS * 0]
    given = [arguments(name, *one) for one in zip(batch, labels, strict=True)]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *given)
    together = jax.jit(jax.vmap(program(name)))(*stacked)
    for i in range(3):
        one = evaluate(name, batch[i], labels[i])
        assert_same(jax.tree.map(lambda a, i=i: a[i], together), one, rtol=1e-5)


KEEP = np.array([1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 0, 1], bool)


@every
def test_what_where_leaves_out_has_no_influence(name):
    poisoned = np.where(KEEP[:, None], X, np.nan).astype(np.float32)
    changed = np.where(KEEP, LABELS, LABELS[::-1])
    found = evaluate(name, poisoned, changed, where=KEEP)
    assert_finite(found)
    assert_same(found, evaluate(name, X, where=KEEP), rtol=0)
    assert not np.any(found.gradient[0][~KEEP])


@representative
def test_items_that_where_leaves_out_count_as_absent(name):
    """Of all pair losses tests/losses/test_paper.py shows it beside loops."""
    found = evaluate(name, X, where=KEEP)
    dropped = evaluate(name, X[KEEP], LABELS[KEEP])
    assert_same(found.value, dropped.value)
    assert_same(found.gradient[0][KEEP], dropped.gradient[0])


@pytest.mark.parametrize("name", ["triplet_semi-original", "triplet_semi-paper"])
def test_an_absent_first_item_is_no_negative(name):
    """The first item stands in where every negative is as far as the positive."""
    x = np.array([[5], [10], [11], [9]], np.float32)
    labels, keep = np.array([7, 0, 0, 1]), np.array([0, 1, 1, 1], bool)
    value = value_and_grad(name, x, labels, where=jnp.asarray(keep))[0]
    np.testing.assert_allclose(value, value_and_grad(name, x[keep], labels[keep])[0])


@every
def test_a_loss_without_items_is_zero(name):
    found = evaluate(name, X, where=np.zeros(12, bool))
    assert found.value == 0
    assert not np.any(found.gradient[0])


@slow
@pytest.mark.parametrize("name", PARITY_CASES)
@pytest.mark.parametrize("block_size", [1, 5])
def test_the_block_size_changes_no_loss(x64, name, block_size):
    """Others are in blocks beside definitions in tests/losses/test_definitions.py."""
    x, numbers = X.astype(np.float64), all_at(name, 1.0)
    found = evaluate(name, x, block_size=block_size, where=KEEP, **numbers)
    whole = evaluate_exactly(name, x, where=KEEP, **numbers)
    assert_same(found[:2], whole[:2], 1e-13)


@representative
def test_losses_in_half_precision_are_computed_in_float32(name):
    """Computed in float32 from the rounded input; the gradient is in its dtype."""
    for dtype in (jnp.float16, jnp.bfloat16):
        rounded = X.astype(dtype)
        value, grad = evaluate(name, rounded)[:2]
        expected = evaluate(name, rounded.astype(np.float32))
        assert value.dtype == jnp.float32
        assert grad[0].dtype == dtype
        assert_same(value, expected.value)
        assert_same(grad[0].astype(np.float32), expected.gradient[0], rtol=2e-2)


@every
def test_a_new_hyperparameter_does_not_recompile(name):
    evaluate(name, X)
    compiled = program(name)._cache_size()  # for all the shapes of this file
    for number in (0.1, 0.7, 2.0):
        evaluate(name, X, **all_at(name, number))
    assert program(name)._cache_size() == compiled


def random_direction(name, seed):
    """Of embeddings and hyperparameters."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=X.shape), {n: rng.normal() for n in all_at(name, 1)}


def flat(leaves):
    return np.concatenate([np.ravel(leaf) for leaf in leaves])


@slow
@every
def test_derivatives_of_losses_equal_differences(name):
    """First and second ones, along a direction of embeddings and hyperparameters.

    Forward, reverse, and forward over reverse; away from kinks.
    """
    numbers, step = all_at(name, 1.3), 3e-6
    direction = random_direction(name, 1)
    found = evaluate_exactly(name, X, direction=direction, **numbers)

    def at(step):
        moved = jax.tree.map(lambda a, d: a + step * d, (X, numbers), direction)
        return jax.tree.leaves(evaluate_exactly(name, moved[0], **moved[1])[:2])

    slope, *curvature = (
        (ahead - behind) / (2 * step)
        for ahead, behind in zip(at(step), at(-step), strict=True)
    )
    products = sum(jax.tree.leaves(jax.tree.map(np.vdot, found.gradient, direction)))
    if name in DETACHED:
        assert abs(products / slope - 1) > 1e-4
        slope = products
    assert_close(found.slope, slope, 1e-7, label="forward")
    assert_close(products, slope, 1e-7, label="reverse")
    along = jax.tree.leaves(found.curvature)
    assert_close(flat(along), flat(curvature), 1e-6, label="forward over reverse")


@slow
@every
def test_the_order_of_items_changes_no_loss(name):
    order = np.random.default_rng(0).permutation(12)
    if name in OF_THE_FIRST:
        order = np.argsort(-LABELS, kind="stable")
    found = evaluate_exactly(name, X[order], LABELS[order])
    expected = evaluate_exactly(name, X)
    assert_same(found.value, expected.value, 1e-12)
    assert_same(found.gradient[0], expected.gradient[0][order], 1e-12)


@for_each(MOVABLE)
def test_moving_all_embeddings_changes_no_loss(name):
    x = X.astype(np.float64)
    found, moved = evaluate_exactly(name, x), evaluate_exactly(name, x + 3)
    assert_same(moved[:2], found[:2], rtol=1e-12)


@for_each(SCALABLE)
def test_scaling_all_embeddings_changes_no_loss_of_directions(name):
    found, scaled = evaluate_exactly(name, X), evaluate_exactly(name, 8.0 * X)
    assert_same(scaled.value, found.value, 1e-12)
    assert_same(8 * scaled.gradient[0], found.gradient[0], 1e-12)


@representative
def test_a_batch_that_all_devices_hold_has_its_loss(name):
    """It counts as often as there are devices, here one."""
    mesh = jax.make_mesh((1,), ("data",), axis_types=(AxisType.Auto,))
    loss = partial(CASES[name], axis_name="data")
    spread = jax.shard_map(loss, mesh=mesh, in_specs=(P(), P()), out_specs=P())
    value, grad = jax.jit(jax.value_and_grad(spread))(X, LABELS)
    expected = evaluate(name, X)
    assert_same((value, grad), (expected.value, expected.gradient[0]))


@every
def test_losses_take_half_precision_and_promote_no_ranks(name):
    """As in all tests, and as some users have it: nothing is broadcast unsaid."""
    assert jax.config.jax_numpy_rank_promotion == "raise"
    options = {"where": jnp.asarray(LABELS > 0)}
    if name in PAIR_CASES:
        memory = losses.init_memory(20, 4, dtype=jnp.bfloat16)
        options["memory"] = losses.update_memory(memory, X, LABELS)
        options["block_size"] = 5
    loss = partial(CASES[name], labels=jnp.asarray(LABELS), **options)
    value, gradient = jax.eval_shape(jax.value_and_grad(loss), X.astype(np.float16))
    assert value.dtype == jnp.float32 and value.shape == ()
    assert gradient.dtype == jnp.float16
