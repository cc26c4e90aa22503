"""Updates of some rows of class weights, against dense optimizers."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jml.training import update_rows
from tests.compilation import quickly
from tests.parity import assert_close

OPTIMIZERS = {
    "sgd": optax.sgd(0.1),
    "momentum": optax.sgd(optax.linear_schedule(0.1, 0.0, 10), momentum=0.9),
    "adamw": optax.adamw(0.01, weight_decay=0.1),
}
every = pytest.mark.parametrize("name", OPTIMIZERS)
SHAPE = 7, 2, 3


def gradients(steps):
    rng = np.random.default_rng(0)
    return [jnp.asarray(rng.normal(size=SHAPE)) for _ in range(steps)]


def step(optimizer, gradient, state, weights):
    updates, state = optimizer.update(gradient, state, weights)
    return optax.apply_updates(weights, updates), state


@every
def test_an_update_of_all_rows_equals_the_dense_one(x64, name):
    optimizer = OPTIMIZERS[name]
    order = np.random.default_rng(1).permutation(SHAPE[0])
    dense = rows = jnp.ones(SHAPE)
    dense_state = rows_state = optimizer.init(dense)
    for by in gradients(3):
        dense, dense_state = step(optimizer, by, dense_state, dense)
        rows, rows_state = update_rows(optimizer, by[order], rows_state, rows, order)
    found, expected = map(jax.tree.leaves, ((rows, rows_state), (dense, dense_state)))
    for a, b in zip(found, expected, strict=True):
        assert_close(a, b, 1e-12, label=name)


@every
def test_rows_that_are_not_drawn_stay_bit_for_bit(name):
    optimizer, rows = OPTIMIZERS[name], np.array([5, 1])
    weights = jnp.linspace(0, 1, np.prod(SHAPE)).reshape(SHAPE)
    first, second = gradients(2)
    weights, state = step(optimizer, first, optimizer.init(weights), weights)
    moved, moved_state = update_rows(optimizer, second[rows], state, weights, rows)
    others = np.setdiff1d(np.arange(SHAPE[0]), rows)
    before, after = (weights, state), (moved, moved_state)
    for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        if a.shape == SHAPE:
            np.testing.assert_array_equal(a[others], b[others])
            assert np.all(np.any(a[rows] != b[rows], axis=(1, 2)))
        else:
            assert b == a + 1  # a count of steps


def test_the_momentum_of_a_row_waits_until_the_row_is_drawn_again(x64):
    optimizer = optax.sgd(0.1, momentum=0.9)
    weights = jnp.ones(SHAPE)
    alone, state = weights[:1], optimizer.init(weights)
    alone_state = optimizer.init(alone)
    for row, by in zip([0, 3, 4, 0], gradients(4), strict=True):
        rows = np.array([row])
        weights, state = update_rows(optimizer, by[rows], state, weights, rows)
        if row == 0:
            alone, alone_state = step(optimizer, by[:1], alone_state, alone)
    assert_close(weights[:1], alone, 1e-12, label="row 0")


@every
def test_donated_weights_and_state_are_changed_in_place(name):
    optimizer = OPTIMIZERS[name]
    weights = jax.ShapeDtypeStruct((8192, 64), jnp.float32)
    state = jax.eval_shape(optimizer.init, weights)
    gradient = jax.ShapeDtypeStruct((64, 64), jnp.float32)
    rows = jax.ShapeDtypeStruct((64,), jnp.int32)

    @partial(jax.jit, donate_argnums=(0, 1))
    def update(weights, state, gradient, rows):
        return update_rows(optimizer, gradient, state, weights, rows)

    with quickly(same_memory=True):
        lowered = update.lower(weights, state, gradient, rows)
        memory = lowered.compile().memory_analysis()
    assert memory.temp_size_in_bytes < 8192 * 64  # an eighth of the weights
    assert memory.output_size_in_bytes - memory.alias_size_in_bytes < 1024


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (dict(optimizer=0.1), "`optimizer` must be an optimizer of optax"),
        (dict(weights=None), "`weights` must be an array"),
        (dict(rows=np.zeros(2)), "`rows` must be integer"),
        (dict(rows=[0, 1]), "`rows` must be an array"),
        (dict(rows=np.array([1, 1])), "`rows` must have each row once"),
        (dict(rows=np.array([0, SHAPE[0]])), "`rows` must be from 0 to"),
        (dict(weights=np.ones(SHAPE, int)), "`weights` must be floating"),
        (dict(gradient=np.zeros(SHAPE)), r"`gradient` must have the shape of .*\(2, 2"),
        (dict(opt_state=optax.adam(1.0).init(jnp.ones(SHAPE))), "`opt_state` must be"),
        (
            dict(opt_state=optax.sgd(1.0, momentum=0.9).init(jnp.ones((2, 3)))),
            "`opt_state` must be",
        ),
    ],
)
def test_what_cannot_be_updated_is_refused(changed, message):
    optimizer, weights = optax.sgd(1.0, momentum=0.9), jnp.ones(SHAPE)
    arguments = {
        "optimizer": optimizer,
        "gradient": np.zeros((2, *SHAPE[1:])),
        "opt_state": optimizer.init(weights),
        "weights": weights,
        "rows": np.array([0, 1]),
    }
    with pytest.raises(ValueError, match=f"^update_rows: {message}"):
        update_rows(**(arguments | changed))


def test_an_optimizer_that_mixes_classes_is_refused():
    """Its state has an array that depends on the number of classes, and no row each."""
    outer = optax.GradientTransformation(
        lambda weights: jnp.zeros((3, len(weights))),
        lambda gradient, state, weights: (gradient, state),
    )
    weights = jnp.ones((7, 3))
    state, rows = outer.init(weights), np.array([0])
    with pytest.raises(ValueError, match=r"^update_rows: `optimizer` must keep a row"):
        update_rows(outer, weights[:1], state, weights, rows)


def test_an_optimizer_that_keeps_something_else_of_few_rows_is_refused():
    """Adafactor keeps factors of many rows, and all entries of few."""
    optimizer, weights = optax.adafactor(0.1), jnp.ones((130, 150))
    state, rows = optimizer.init(weights), np.arange(5)
    message = "^update_rows: `optimizer` must keep the same of 5 rows as of 130"
    with jax.numpy_rank_promotion("allow"), pytest.raises(ValueError, match=message):
        update_rows(optimizer, weights[:5], state, weights, rows)
