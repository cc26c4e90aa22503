"""A small training with the library, here or in a process of its own."""

import zlib
from collections import namedtuple
from contextlib import ExitStack
from functools import cache
from unittest.mock import patch

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jml.losses import init_memory, triplet_loss
from jml.pairwise import _blocks, _pair_gradients
from jml.training import Checkpoints, fit, init_state, make_step

HYPER = namedtuple("Hyper", "ema memory_warmup")(ema=0.9, memory_warmup=3)
WIDTH = 512  # large enough for a save to be cut short


def loss_of(params, stats, batch, key, hyper, memory):
    images, labels = batch
    noise = 0.1 * jax.random.normal(key, images.shape)
    hidden = jnp.tanh((images + noise) @ params["first"])
    moved = {"mean": 0.9 * stats["mean"] + 0.1 * hidden.mean()}
    x = hidden @ params["second"]
    return triplet_loss(x, labels, memory=memory), (moved, {}, (x, labels))


def batch(step):
    rng = np.random.default_rng([7, step])
    labels = np.repeat(np.arange(8), 4)
    centres = np.eye(8, WIDTH)[labels]
    return (centres + rng.normal(size=(32, WIDTH))).astype(np.float32), labels


OPTIMIZER = optax.adamw(1e-3)


@cache  # tests train many times, and compile once
def make(skip_nan):
    return make_step(loss_of, OPTIMIZER, skip_nan=skip_nan)


def start(*, skip_nan=False):
    rng = np.random.default_rng(0)
    params = {
        "first": rng.normal(size=(WIDTH, WIDTH)).astype(np.float32) / WIDTH**0.5,
        "second": rng.normal(size=(WIDTH, 16)).astype(np.float32) / WIDTH**0.5,
    }
    options = {"average": True, "memory": init_memory(80, 16)}
    state = init_state(params, {"mean": jnp.zeros(())}, OPTIMIZER, **options)
    return make(skip_nan), state


def trace():
    """Traces the step as for a CPU; JAX starts no device for it, and so no thread."""
    of_state, of_key = jax.eval_shape(lambda: (start()[1], jax.random.key(0)))
    with ExitStack() as patches:
        for module in (_blocks, _pair_gradients):
            patches.enter_context(patch.object(module, "on_cpu", lambda: True))
        make(False).trace(of_state, batch(0), of_key, HYPER)


def checksum(state):
    found = 0
    for leaf in jax.tree.leaves(state):
        found = zlib.crc32(np.asarray(leaf).tobytes(), found)
    return found


def run(folder, *, steps, notify=print, skip_nan=False, **options):
    """Trains, or goes on, up to `steps`; saves every four; returns the state."""
    step, state = start(skip_nan=skip_nan)
    checkpoints = Checkpoints(folder, notify=notify)
    try:
        return fit(
            step,
            checkpoints.restore(state),
            options.pop("batches", batch),
            steps=steps,
            hyper=HYPER,
            every=4,
            checkpoints=checkpoints,
            **options,
        )
    finally:
        checkpoints.close()


def assert_equal(state, expected):
    for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(a, b)


def saved(folder):
    """The steps of the checkpoints in a folder."""
    return sorted(int(p.name) for p in folder.iterdir() if p.name.isdigit())


def report_steps(connection, folder, steps, every):
    """Trains, and sends the steps it takes, then the checksum of the state."""
    step, state = start()
    checkpoints = Checkpoints(folder)
    state = checkpoints.restore(state)
    connection.send(int(state.step))
    state = fit(
        step,
        state,
        batch,
        steps=steps,
        hyper=HYPER,
        every=every,
        log=lambda record: connection.send(record["step"]),
        evaluate=lambda number, state: {"recall@1": number % 30},
        checkpoints=checkpoints,
    )
    checkpoints.close()
    kept = " ".join(map(str, checkpoints.steps))
    connection.send(f"checksum {checksum(state)} kept {kept}")
