"""Losses, gradients and statistics of one batch, in a process of its own.

``FOLDER`` computes them on the first local device, and on all. ``FOLDER HOST:PORT
PROCESSES PROCESS`` is one of several processes. Process 0 writes them to the folder, to
1.npz, all.npz and shared.npz.
"""

import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from jml._loss_specs import SPECS, variants
from jml.app._class_weights import draw_weights, plan_classes
from jml.app._config import Config
from jml.app._distributed import join
from jml.app._objective import Hyper, diagnostics_of, objective_of
from jml.losses import init_memory, init_proxies, triplet_loss
from jml.models._layers import BatchNorm, Conv, Linear
from jml.training import (
    Checkpoints,
    Rates,
    data_mesh,
    fit,
    init_state,
    local_rows,
    make_loss,
    make_step,
    replicate,
    replicate_rest,
    replicated_sharding,
    shardings_of,
    split_batch,
)
from tests.compilation import quickly
from tests.garbage import collect_seldom

BATCH, SIDE, DIM, CLASSES = 48, 12, 8, 6
# One of each kind of diagnostics, and of two views. All losses are spread over devices
# by tests/losses/spread.py.
NAMES = ("contrastive", "triplet_semi", "lifted", "proxy_nca", "vicreg")
LOSSES = {
    variant: Config(loss=name, **choices)
    for variant, (name, choices) in variants().items()
    if variant in NAMES
}
NUMBERS = {h.name: h.default for spec in SPECS.values() for h in spec.hyperparameters}
NUMBERS |= {"margin": 0.5, "scale": 2.0}  # hyperparameters of all losses


class Net(nnx.Module):
    """Two convolutions with BatchNorm, and a linear head."""

    def __init__(self, rng):
        self.conv1 = Conv(3, 8, size=3, stride=1, rng=rng)
        self.bn1 = BatchNorm(8)
        self.conv2 = Conv(8, 16, size=3, stride=2, rng=rng)
        self.bn2 = BatchNorm(16)
        self.fc = Linear(16, DIM, rng=rng)

    def __call__(self, images, *, train):
        x = jax.nn.relu(self.bn1(self.conv1(images), train=train))
        x = jax.nn.relu(self.bn2(self.conv2(x), train=train))
        return self.fc(jnp.mean(x, axis=(1, 2)))


def noisy(key, images):
    return images + 0.1 * jax.random.normal(key, images.shape, images.dtype)


def chosen(functions):
    """The one of `functions` that ``hyper.loss["choice"]`` names, at run time."""

    def branch(function):  # all return the same types: some fractions are float32
        def of_batch(embeddings, *rest):
            values = function(embeddings, *rest)
            if isinstance(values, dict):  # which some losses have more of
                values = {"unknown_labels": 0.0 * embeddings[0, 0], **values}
            return jax.tree.map(lambda value: value.astype(embeddings.dtype), values)

        return of_batch

    def choose(*arguments):
        choice = arguments[-1].loss["choice"]
        return jax.lax.switch(choice, list(map(branch, functions)), *arguments)

    return choose


def chosen_loss(objectives):
    """The `chosen` one of the objectives, each with its gradient within its own branch.

    From the branches come gradients then, which have the same shapes for all, and not
    what each loss would keep for its own, of which all branches had to return all.
    """
    with_gradient = partial(jax.value_and_grad, argnums=(0, 2))  # embeddings, proxies
    gradients = list(map(with_gradient, objectives))

    def forward(*arguments):
        choice = arguments[-1].loss["choice"]
        return jax.lax.switch(choice, gradients, *arguments)

    def backward(gradient, slope):
        embeddings, proxies = jax.tree.map(lambda part: slope * part, gradient)
        return embeddings, None, proxies, None  # none by labels and hyperparameters

    loss = jax.custom_vjp(lambda *arguments: forward(*arguments)[0])
    loss.defvjp(forward, backward)
    return loss


def programs(mesh, graphdef, groups):
    """Two compiled functions that return a loss and its gradient.

    That of "each" has all losses as branches, so that the network is compiled for them
    once. That of "pieces" has one loss, as a user's training has.
    """
    objectives = [objective_of(config) for config in LOSSES.values()]
    diagnostics = [diagnostics_of(config) for config in LOSSES.values()]

    def program(objective, diagnostics, microbatch=None):
        loss_of = make_loss(
            graphdef,
            objective,
            augment=noisy,
            groups=groups,
            diagnostics=diagnostics,
            microbatch=microbatch,
            mesh=mesh,
        )

        def compute(params, stats, batch, hyper):
            arguments = params, stats, batch, jax.random.key(3), hyper
            return jax.value_and_grad(loss_of, has_aux=True)(*arguments)

        return jax.jit(compute, out_shardings=replicated_sharding(mesh))

    return {
        "each": program(chosen_loss(objectives), chosen(diagnostics)),
        "pieces": program(objectives[0], diagnostics[0], microbatch=16),
    }


def results(mesh, dtype):
    """Everything by name, on the host."""
    rng = np.random.default_rng(0)
    graphdef, *trees = nnx.split(Net(rng), nnx.Param, nnx.BatchStat)
    model, stats = (nnx.to_pure_dict(tree) for tree in trees)
    proxies = init_proxies(jax.random.key(0), num_classes=CLASSES, dim=DIM)
    params = {"model": model, "proxies": proxies}
    params, stats = jax.tree.map(lambda a: np.asarray(a, dtype), (params, stats))
    labels = rng.integers(0, CLASSES, BATCH)
    images = rng.normal(size=(BATCH, SIDE, SIDE, 3)) + labels[:, None, None, None] / 3
    rows = local_rows(BATCH)
    batch = split_batch(mesh, (images[rows].astype(dtype), labels[rows]))
    groups = jax.tree.map(lambda _: "lr", params)

    compiled = programs(mesh, graphdef, groups)
    params, stats = replicate(mesh, (params, stats))
    found = {}
    for name in (*LOSSES, "pieces"):
        choice = list(LOSSES).index(name) if name in LOSSES else 0
        hyper = Hyper(Rates(), NUMBERS | {"choice": choice})
        program = compiled["each" if name in LOSSES else name]
        found[name] = program(params, stats, batch, hyper)
    parts = {}
    for name, ((loss, (stats, measured)), gradient) in found.items():
        trees = {"loss": loss, "stats": stats, "gradient": gradient}
        trees["diagnostics"] = measured
        for part, tree in trees.items():
            leaves = [np.ravel(np.asarray(leaf)) for leaf in jax.tree.leaves(tree)]
            parts[f"{dtype} {name} {part}"] = np.concatenate(leaves)
    return parts


def trained(mesh, folder):
    """The parameters after four steps of ``fit`` with a memory, resumed after two.

    The memory is full after two, and begins anew within the third.
    """
    rng = np.random.default_rng(1)
    weights = rng.normal(size=(16, DIM)).astype(np.float32) / 4
    rows = local_rows(BATCH)

    def loss(params, stats, batch, key, hyper, memory):
        images, labels = batch
        noise = 0.1 * jax.random.normal(key, images.shape)
        x = (images + noise) @ params
        return triplet_loss(x, labels, memory=memory), (stats, {}, (x, labels))

    def batch(step):
        rng = np.random.default_rng(step)
        labels = rng.integers(0, CLASSES, BATCH)
        images = rng.normal(size=(BATCH, 16)) + np.eye(CLASSES, 16)[labels]
        return images[rows].astype(np.float32), labels[rows]

    optimizer = optax.sgd(0.1)
    step = make_step(loss, optimizer, mesh=mesh)
    for steps in (2, 4):
        checkpoints = Checkpoints(folder)
        memory = init_memory(2 * BATCH + 1, DIM)
        state = replicate(mesh, init_state(weights, {}, optimizer, memory=memory))
        state = checkpoints.restore(state)
        assert int(state.step) == steps - 2
        options = {"steps": steps, "checkpoints": checkpoints, "mesh": mesh}
        state = fit(step, state, batch, **options)
        checkpoints.close()
    return np.asarray(state.params)


def trained_classes(mesh, folder):
    """The class weights after four steps, spread over the devices and sampled.

    Two centers of 6 classes take 64 rows, all of which are in each sample. The second
    half of the steps begins with a checkpoint, which half of the devices can read, too.
    """
    config = Config(loss="arcface", centers=2, embedding_dim=DIM, shard_classes=True)
    rng, hyper = np.random.default_rng(2), Hyper(Rates(), NUMBERS, ema=0.5)
    first = rng.normal(size=(16, DIM)).astype(np.float32) / 4
    plan = plan_classes(config, CLASSES, mesh)
    plan = plan._replace(sample=plan.rows // mesh.size)
    objective, measure = objective_of(config, plan), diagnostics_of(config, plan)
    optimizer = optax.adam(0.01)

    def loss(params, stats, batch, key, hyper):
        images, labels = batch
        batch = images @ params["linear"], labels, params["proxies"], hyper
        return objective(*batch, key=key), (stats, measure(*batch, key=key))

    def start(mesh):
        weights = draw_weights(config, plan._replace(mesh=mesh), jax.random.key(0))
        params = {"linear": first, "proxies": weights}
        return replicate_rest(mesh, init_state(params, {}, optimizer, average=True))

    def batch(step):
        rng = np.random.default_rng(step)
        labels = rng.integers(-1, CLASSES, BATCH)
        images = rng.normal(size=(BATCH, 16)) + np.eye(CLASSES, 16)[labels]
        return images.astype(np.float32), labels

    shardings = shardings_of(mesh, start(mesh))
    step = make_step(loss, optimizer, mesh=mesh, shardings=shardings)
    measured = []
    for steps in (2, 4):
        checkpoints = Checkpoints(folder)
        state = checkpoints.restore(start(mesh))
        fewer = start(data_mesh(mesh.devices.ravel()[: max(1, mesh.size // 2)]))
        jax.tree.map(assert_equal_parts, state, checkpoints.restore(fewer))
        options = {"steps": steps, "checkpoints": checkpoints, "mesh": mesh}
        state = fit(step, state, batch, hyper=hyper, log=measured.append, **options)
        checkpoints.close()
    assert shardings_of(mesh, state) == shardings
    numbers = [[r["loss"], r["active"], r["unknown_labels"]] for r in measured]
    return np.append(np.asarray(state.params["proxies"]).ravel(), numbers)


def assert_equal_parts(array, restored):
    """The same values, in equal parts where those of `array` are."""
    np.testing.assert_array_equal(array, restored)
    assert array.sharding.spec == restored.sharding.spec


def compute(out, mesh):
    found = results(mesh, "float32")
    with jax.enable_x64(True):
        found |= results(mesh, "float64")
    found["trained"] = trained(mesh, f"{out}.checkpoints")
    if jax.process_count() == 1:  # which alone can share classes
        found["classes"] = trained_classes(mesh, f"{out}.classes")
    if jax.process_index() == 0:
        np.savez(out, devices=mesh.size, **found)


def main(folder, coordinator=None, processes=None, process=None):
    if coordinator is not None:
        numbers = {"processes": int(processes), "process": int(process)}
        join(Config(coordinator=coordinator, join_timeout=60, **numbers))
    with quickly():  # it compiles, which must not come before joining
        if coordinator is not None:
            compute(f"{folder}/shared.npz", data_mesh())
            return
        compute(f"{folder}/1.npz", data_mesh(jax.local_devices()[:1]))
        compute(f"{folder}/all.npz", data_mesh())


if __name__ == "__main__":
    collect_seldom()
    main(*sys.argv[1:])
