"""A training step with a memory of earlier batches."""

from collections import namedtuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jml.losses import contrastive_loss, init_memory, update_memory
from jml.training import init_state, make_step

pytestmark = pytest.mark.usefixtures("quick_compilation")
Hyper = namedtuple("Hyper", "memory_warmup")
OPTIMIZER = optax.sgd(0.1)


def batch(step):
    rng = np.random.default_rng(step)
    return rng.normal(size=(8, 3)).astype(np.float32), np.repeat(np.arange(4), 2)


def loss_of(params, stats, batch, key, hyper, memory):
    images, labels = batch
    x = images @ params
    return contrastive_loss(x, labels, memory=memory), (stats, {}, (x, labels))


def trained(batches, hyper=None, *, skip_nan=False):
    """The state after a step for each batch, and the losses."""
    step = make_step(loss_of, OPTIMIZER, skip_nan=skip_nan)
    state = init_state(jnp.eye(3), {}, OPTIMIZER, memory=init_memory(20, 3))
    losses = []
    for given in batches:
        state, measured = step(state, given, jax.random.key(0), hyper)
        losses.append(measured["loss"].item())
    return jax.tree.map(np.asarray, state), losses


@pytest.mark.parametrize("hyper", [None, Hyper(2)])
def test_each_batch_is_compared_with_those_since_the_warm_up(hyper):
    batches = [batch(number) for number in range(6)]
    state, losses = trained(batches, hyper)
    params, memory = jnp.eye(3), init_memory(20, 3)
    loss_and_slope = jax.jit(
        jax.value_and_grad(
            lambda p, images, labels, m: contrastive_loss(images @ p, labels, memory=m)
        )
    )
    for number, (images, labels) in enumerate(batches):
        loss, slope = loss_and_slope(params, images, labels, memory)
        assert losses[number] == pytest.approx(loss.item(), rel=1e-6)
        if number >= (0 if hyper is None else hyper.memory_warmup):
            memory = update_memory(memory, images @ params, labels)
        params -= 0.1 * slope
    for found, expected in zip(state.memory, memory, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("skip_nan", [True, False])
def test_a_step_that_is_not_finite_is_not_remembered(skip_nan):
    images, labels = batch(1)
    images[0] = np.nan
    once, _ = trained([batch(0)], skip_nan=skip_nan)
    state, losses = trained([batch(0), (images, labels)], skip_nan=skip_nan)
    assert np.isnan(losses[1])
    for found, expected in zip(state.memory, once.memory, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_loss_that_does_not_return_what_to_remember_is_one_line():
    def forgetful(params, stats, batch, key, hyper, memory):
        loss, (stats, measured, _) = loss_of(params, stats, batch, key, hyper, memory)
        return loss, (stats, measured)

    state = init_state(jnp.eye(3), {}, OPTIMIZER, memory=init_memory(20, 3))
    with pytest.raises(ValueError, match=r"^make_step: `loss_of` must return \(loss,"):
        make_step(forgetful, OPTIMIZER)(state, batch(0), jax.random.key(0))
