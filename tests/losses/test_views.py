"""Losses of two views, which have no labels and no pair matrix.

Their values are tested in tests/losses/test_definitions_views.py.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from jml import losses
from jml._loss_specs import SPECS
from tests.losses.cases import VIEW_LOSSES, hyperparameters

pytestmark = pytest.mark.usefixtures("quick_compilation")

X, Y = np.random.default_rng(0).normal(size=(2, 12, 4)).astype(np.float32)
WHERE = np.arange(12) % 5 > 0
every = pytest.mark.parametrize("name", VIEW_LOSSES)
every_hyperparameter = pytest.mark.parametrize(
    ("name", "argument"), [(n, a) for n in VIEW_LOSSES for a in SPECS[n].defaults()]
)


@partial(jax.jit, static_argnames="name")
def value_and_grad(name, x, y, where=None, **numbers):
    """One program for each shape."""
    loss = partial(VIEW_LOSSES[name], where=where, **numbers)
    return jax.value_and_grad(loss, argnums=(0, 1))(x, y)


def assert_same(one, other, limit=1e-6):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=limit, atol=limit)


@every
def test_views_that_where_leaves_out_count_as_absent(name):
    x, y = (np.where(WHERE[:, None], view, np.nan) for view in (X, Y))
    value, grads = value_and_grad(name, x, y, WHERE)
    expected = value_and_grad(name, X[WHERE], Y[WHERE])
    assert_same((value, [grad[WHERE] for grad in grads]), expected)
    assert not any(np.any(grad[~WHERE]) for grad in grads)


@every
def test_a_loss_of_no_views_is_zero(name):
    for found in (value_and_grad(name, X, Y, WHERE & False), (0, ())):
        assert not any(np.any(leaf) for leaf in jax.tree.leaves(found))
    assert value_and_grad(name, X[:0], Y[:0])[0] == 0


@every
def test_a_single_item_has_no_statistics(name):
    """VICReg has the distance between its views."""
    expected = 25 * np.mean((X[0] - Y[0]) ** 2) if name == "vicreg" else 0
    assert_same(value_and_grad(name, X[:1], Y[:1])[0], expected, 1e-5)


TALL = 10.0 ** np.linspace(-38, 37, 12)[:, None].astype(np.float32)
EXTREMES = {
    "zeros": X * 0,
    "identical": np.tile(X[:1], (12, 1)),
    "a constant column": np.where(np.arange(4) == 1, np.float32(0.1), X),
    "tiny": X * 1e-30,
    "denormal": X * 1e-42,
    "large": X * 1e6,
    "huge": X * 1e30,
    "largest": np.sign(X) * np.finfo(np.float32).max,
    "mixed": X * TALL,
}


@every
@pytest.mark.parametrize("extreme", EXTREMES)
def test_losses_of_extreme_views_are_finite(name, extreme):
    x = EXTREMES[extreme]
    for y in (x, Y):
        found = value_and_grad(name, x, y)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found))


@every
def test_views_without_columns_have_a_finite_loss(name):
    assert np.isfinite(value_and_grad(name, X[:, :0], Y[:, :0])[0])


@every
def test_a_constant_column_passes_no_gradient_through_its_statistics(name):
    """Not even that of rounding: a tenth has no exact mean in binary."""
    x = EXTREMES["a constant column"]
    number = {"invariance": 0.0} if name == "vicreg" else {}
    _, (by_x, _) = value_and_grad(name, x, Y, **number)
    assert not np.any(by_x[:, 1])
    assert np.any(by_x[:, 0])


@every
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_non_finite_entry_of_a_view_makes_the_loss_nan(name, bad):
    x = X.copy()
    x[3, 1] = bad
    assert np.isnan(value_and_grad(name, x, Y)[0])
    assert np.isnan(value_and_grad(name, Y, x)[0])


@every
@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_views_in_half_precision_are_computed_in_float32(name, dtype):
    x, y = X.astype(dtype), Y.astype(dtype)
    value, grads = value_and_grad(name, x, y)
    wide = x.astype(np.float32), y.astype(np.float32)
    expected, expected_grads = value_and_grad(name, *wide)
    assert value.dtype == jnp.float32
    assert_same(value, expected)
    for grad, wide in zip(grads, expected_grads, strict=True):
        assert grad.dtype == dtype
        assert_same(grad.astype(np.float32), wide, 2e-2)


@every_hyperparameter
def test_losses_of_views_are_finite_for_any_number(name, argument):
    """Compiled once."""
    before = value_and_grad._cache_size()
    for number in (0.1, 3.4e38, -3.4e38, 0, 1e-30, -1e-42):
        number = np.float32(number)
        found = value_and_grad(name, 100 * X, Y, **{argument: number})
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found))
    assert value_and_grad._cache_size() == before + 1


@every
def test_both_derivatives_of_losses_of_views_equal_differences(x64, name):
    def loss(x, y, numbers):
        return VIEW_LOSSES[name](x, y, where=WHERE, **numbers)

    given = X.astype(float) / 2, Y.astype(float), hyperparameters(name, 1.3)
    check_grads(loss, given, order=1, modes=["rev"])
    gradients = jax.grad(loss, argnums=(0, 1, 2))
    check_grads(gradients, given, order=1, modes=["fwd"])


@every
def test_vmap_of_views_equals_one_batch_after_another(name):
    x, y = np.stack([X, 2 * X]), np.stack([Y, X])
    together = jax.vmap(partial(value_and_grad, name))(x, y)
    for i in range(2):
        one = value_and_grad(name, x[i], y[i])
        assert_same(jax.tree.map(lambda a, i=i: a[i], together), one, 1e-5)


@every
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": X[0]}, r"`x` must have shape \[B, D\], got \(4,\)"),
        ({"y": Y.tolist()}, r"`y` must be an array \[B, D\] of JAX or NumPy, got a li"),
        ({"y": Y[:3]}, r"`y` must have shape \(12, 4\), as `x` has, got \(3, 4\)"),
        ({"x": X.astype(int)}, "`x` must be floating, got int"),
        ({"where": WHERE * 1}, "`where` must be boolean, got int"),
        ({"where": WHERE[:3]}, "`where` must have one entry for each of the 12"),
        ({"axis_name": "data"}, "`axis_name` must be an axis of the jax.shard_map"),
    ],
)
def test_errors_of_losses_of_views_name_the_argument(name, arguments, message):
    with pytest.raises(ValueError, match=f"^{name}_loss: {message}"):
        VIEW_LOSSES[name](**{"x": X, "y": Y, **arguments})


@every_hyperparameter
@pytest.mark.parametrize("number", ["a", True, np.ones(3), None])
def test_numbers_of_losses_of_views_are_checked(name, argument, number):
    with pytest.raises(ValueError, match=f"_loss: `{argument}` must be a number, got"):
        VIEW_LOSSES[name](X, Y, **{argument: number})


@pytest.mark.parametrize(
    ("labels", "first", "second"),
    [
        ([0, 1, 0, 2, 1, 0, 3, 2, 1, 0, 2, 4], [0, 1, 3], [2, 4, 7]),
        (np.arange(12)[::-1] // 2, range(0, 12, 2), range(1, 12, 2)),
        (np.arange(12) % 6, range(6), range(6, 12)),
        (np.arange(12), [], []),
        (np.zeros(12, int), [0], [1]),
    ],
)
@every
def test_an_objective_takes_two_items_of_each_class_for_views(
    name, labels, first, second
):
    numbers = SPECS[name].defaults()
    objective = jax.jit(losses.make_objective(name))
    value = objective(X, np.asarray(labels), None, numbers)
    expected = VIEW_LOSSES[name](X[list(first)], X[list(second)], **numbers)
    assert_same(value, expected, 1e-5)


@every
def test_an_objective_of_one_item_is_zero(name):
    objective = losses.make_objective(name)
    assert objective(X[:1], np.zeros(1, int), None, SPECS[name].defaults()) == 0
