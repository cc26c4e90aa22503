"""What every loss promises, over a table of all of them, in float32.

One program of each loss is compiled, with all of its arguments traced.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

from jml import losses
from jml._loss_specs import variants
from tests.losses.contract import (
    ALL_CASES,
    CASES,
    KEEP,
    LABELS,
    PAIR_CASES,
    SPEC_OF,
    X,
    all_at,
    arguments,
    assert_finite,
    assert_same,
    evaluate,
    every,
    every_formula,
    every_hyperparameter,
    ignore_missing_proxies,
    program,
    representative,
    slow,
    value_and_grad,
)

pytestmark = [pytest.mark.usefixtures("quick_compilation"), ignore_missing_proxies]

REMEMBERED = losses.update_memory(
    losses.init_memory(20, 4, dtype=jnp.bfloat16), X, LABELS
)


def test_the_contract_covers_every_public_loss():
    tested = {f"{variants()[case.partition('-')[0]][0]}_loss" for case in ALL_CASES}
    assert tested == {name for name in losses.__all__ if name.endswith("_loss")}


@slow
@every_formula
def test_vmap_equals_one_batch_after_another(name):
    batch, labels = [X, 2 * X, X[::-1]], [LABELS, LABELS, LABELS * 0]
    given = [arguments(name, *one) for one in zip(batch, labels, strict=True)]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *given)
    together = jax.jit(jax.vmap(program(name)))(*stacked)
    for i in range(3):
        one = evaluate(name, batch[i], labels[i])
        assert_same(jax.tree.map(lambda a, i=i: a[i], together), one, rtol=1e-5)


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


EXTREMES = {
    "one item": (X[:1], LABELS[:1]),
    "one class": (X, LABELS * 0),
    "all distinct": (X, np.arange(12)),
    "zeros": (X * 0, LABELS),
    "identical": (np.tile(X[:1], (12, 1)), LABELS),
    "opposite": (np.concatenate([X[:6], -X[:6]]), LABELS),
    "a row of zeros": (X * (np.arange(12) != 3)[:, None], LABELS),
    "duplicates": (X[[0, 1, 0, 1, 2, 2, 3, 3, 4, 4, 5, 5]], LABELS),
    "tiny": (X * 1e-30, LABELS),
    "denormal": (X * 1e-42, LABELS),
    "large": (X * 1e6, LABELS),
    "huge": (X * 1e30, LABELS),
    "largest": (np.sign(X) * np.finfo(np.float32).max, LABELS),
    "mixed": (X * 10.0 ** np.linspace(-38, 37, 12)[:, None].astype(np.float32), LABELS),
}


@every
def test_losses_of_extreme_batches_are_finite(name):
    for extreme, (x, labels) in EXTREMES.items():
        found = evaluate(name, x.astype(np.float32), labels)
        leaves = jax.tree.leaves(found)
        assert all(np.all(np.isfinite(leaf)) for leaf in leaves), extreme


@every
def test_a_non_finite_embedding_makes_the_loss_nan(name):
    for bad in (np.nan, np.inf, -np.inf):
        x = X.copy()
        x[3, 1] = bad
        assert np.isnan(evaluate(name, x).value), bad


@every_hyperparameter
def test_losses_of_huge_and_tiny_hyperparameters_are_finite(name, argument):
    """Also where no pair or triplet uses them."""
    for number in (3.4e38, -3.4e38, 0, 1e-30, 1e-42, -1e-42):
        for labels in (LABELS, LABELS * 0, np.arange(12)):
            assert_finite(evaluate(name, X, labels, **{argument: number}))


@every_hyperparameter
def test_losses_of_hyperparameters_at_their_bounds_are_finite(name, argument):
    (bounds,) = (h.bounds for h in SPEC_OF[name].hyperparameters if h.name == argument)
    for limit in bounds.values():
        assert_finite(evaluate(name, X, **{argument: limit}))


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
        options |= {"memory": REMEMBERED, "block_size": 5}
    loss = partial(ALL_CASES[name], labels=jnp.asarray(LABELS), **options)
    value, gradient = jax.eval_shape(jax.value_and_grad(loss), X.astype(np.float16))
    assert value.dtype == jnp.float32 and value.shape == ()
    assert gradient.dtype == jnp.float16
