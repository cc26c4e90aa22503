"""The state before the first step: as the optimizer makes it, and safe to donate."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jml.training import init_state, make_step

PARAMS = {"scale": jnp.ones(3), "shift": jnp.zeros((2, 3), jnp.bfloat16)}


def facts(tree):
    leaves, structure = jax.tree.flatten(tree)
    return structure, [
        (x.dtype, x.weak_type, x.committed, x.sharding, np.asarray(x).tobytes())
        for x in leaves
    ]


@pytest.mark.parametrize(
    "optimizer",
    [
        optax.adam(0.1),
        optax.inject_hyperparams(optax.adam)(learning_rate=0.1),
        optax.apply_if_finite(optax.sgd(0.1, momentum=0.9), 2),
        optax.adagrad(0.1, initial_accumulator_value=0.1),
        optax.contrib.schedule_free_sgd(0.1),
    ],
    ids=["adam", "inject", "apply_if_finite", "adagrad", "schedule_free"],
)
def test_the_first_state_is_the_optimizers_own(optimizer):
    state = init_state(PARAMS, {}, optimizer)
    assert facts(state.opt_state) == facts(optimizer.init(PARAMS))


@pytest.mark.parametrize("by", [lambda x: float(jnp.max(x)), lambda x: x[x > 0][0]])
def test_optimizers_that_compute_with_values_have_their_state(by):
    def init(params):
        return {"largest": jnp.float32(by(params["scale"]))}

    optimizer = optax.GradientTransformation(init, lambda *arguments: arguments)
    assert init_state(PARAMS, {}, optimizer).opt_state["largest"] == 1


def test_zeros_for_committed_parameters_lie_like_them():
    mesh = Mesh(np.array(jax.devices()[:1]), "data")
    rows = NamedSharding(mesh, PartitionSpec("data"))
    params = jax.device_put(PARAMS, rows)
    state = init_state(params, {}, optax.adam(0.1))
    assert state.opt_state[0].mu["scale"].sharding == rows


@pytest.mark.parametrize("committed", [False, True])
def test_a_step_takes_an_optimizer_that_keeps_the_parameters(committed):
    def loss_of(params, batch_stats, batch, key, hyper):
        return jnp.sum((params["scale"] - batch) ** 2), (batch_stats, {})

    optimizer = optax.contrib.prodigy()  # its state has the first parameters
    device = jax.devices()[0] if committed else None
    params = {"scale": jax.device_put(np.ones(3, np.float32), device)}
    state = init_state(params, {}, optimizer)
    step = make_step(loss_of, optimizer)
    state, measured = step(state, jnp.zeros(3), jax.random.key(0))
    assert measured["loss"] == 3
    first = optax.tree.get(state.opt_state, "params0")
    np.testing.assert_array_equal(first["scale"], np.ones(3))
