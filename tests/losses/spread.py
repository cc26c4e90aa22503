"""Losses of one batch spread over devices, in a process of its own.

It writes to the file OUT, by program, the entries of the largest array that a device
holds, those of all its temporaries and, with ``OUT values``, values and gradients, on
one device and on all. With ``OUT arrays`` nothing is run.
"""

import inspect
import sys
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from jml import losses
from jml.losses._triplet import _all
from tests.compilation import largest_array, quickly
from tests.garbage import collect_seldom
from tests.losses.cases import (
    FORMULAS,
    LOSSES,
    PAIR_LOSSES,
    SPECS,
    TOWER_LOSSES,
    VIEW_LOSSES,
    hyperparameters,
    textbook,
)

BATCHES = {"values": 512, "arrays": 2048}
REMEMBERED = BATCHES["values"] // 4
DIM, CLASSES, NUMBER = 8, 40, 0.7  # of each hyperparameter of the pair losses
# These go through all ways to sum over pairs, and are spread in more ways.
FEW = ("contrastive", "triplet_all", "lifted", "proxy_nca")
# By their keys: a loss's name and its options.
OF_VIEWS = {name: (name, {}) for name in VIEW_LOSSES}
OF_VIEWS |= {name: (name, {"block_size": 24}) for name in TOWER_LOSSES}
OF_VIEWS["clip_four_way"] = "clip", {"block_size": 24, "denominator": "four_way"}

# Of each loss the first of its variants.
ONE_OF_EACH = list(
    {loss.func: name for name, loss in reversed(LOSSES.items())}.values()
)


def loss(name, x, labels, other, **options):
    """`other` holds the hyperparameters or the proxies."""
    return LOSSES[name](x, labels, **other, **options)


def with_options(name, x, labels, other, **options):
    """Few items a class, some absent, references, and a memory of half as many."""
    labels = 4 * labels + jnp.arange(len(labels)) % 4
    options["where"] = labels % 7 > 0
    if "references" in inspect.signature(LOSSES[name].func).parameters:
        # Functions of the batch, so that gradients by them are in those by it.
        options["references"] = 0.9 * jnp.roll(x, 1, axis=1)
        options["reference_labels"] = labels + labels % 3
        options["reference_where"] = labels % 5 > 0
    if name in PAIR_LOSSES:
        rng = np.random.default_rng(1)
        kept = rng.normal(size=(REMEMBERED, DIM))
        kept = kept, rng.integers(0, 4 * CLASSES, REMEMBERED)
        memory = losses.init_memory(2 * REMEMBERED, DIM, dtype=x.dtype)
        options["memory"] = losses.update_memory(memory, *map(jnp.asarray, kept))
        options |= textbook(name)
    return loss(name, x, labels, other, **options)


def of_views(name, x, labels, other, **options):
    """Views without labels: row i of one belongs to row i of the other."""
    where, second = labels % 7 > 0, jnp.cos(x) + 0.5 * x
    of_two = (VIEW_LOSSES | TOWER_LOSSES)[name]
    return of_two(x, second, where=where, **other, **options)


def mapped(name, mesh, function=loss, **options):
    """The loss of a batch whose parts are given to the devices by hand."""
    local = partial(function, name, axis_name=mesh.axis_names, **options)
    return by_hand(local, mesh)


def by_hand(local, mesh):
    specs = P(mesh.axis_names), P(mesh.axis_names), P()
    return jax.shard_map(local, mesh=mesh, in_specs=specs, out_specs=P())


def programs(mesh, wanted):
    """Each loss and way of spreading it, and where its arguments lie.

    "one" is on one device; that of `ONE_OF_EACH` has arrays and fusions as users have
    them. What follows it with the same function is traced with it.
    """
    size = BATCHES[wanted]
    if wanted == "arrays":
        for name in FEW:
            yield f"{name}/jit", name, partial(loss, name, block_size=size), mesh
            yield f"{name}/mapped", name, mapped(name, mesh, block_size=size), mesh
        return
    grid = jax.make_mesh((2, 4), ("a", "b"), axis_types=2 * (AxisType.Auto,))
    for name in FORMULAS:
        whole = partial(with_options, name, block_size=size)
        yield f"{name}/one", name, whole, None
        yield f"{name}/jit", name, whole, mesh
        spread = mapped(name, grid, with_options, block_size=24)
        yield f"{name}/mapped, blocks", name, spread, grid
    explicit = jax.make_mesh(mesh.devices.shape, ("data",))
    for name in FEW:
        yield f"{name}, plain/one", name, partial(loss, name), None
        blocks = partial(loss, name, block_size=24)
        yield f"{name}, plain/jit, blocks", name, blocks, mesh
        yield f"{name}, plain/mapped", name, mapped(name, mesh), mesh
        yield f"{name}/explicit", name, partial(with_options, name), explicit
    yield "lifted/apart", "lifted", apart(mesh), mesh
    yield "lifted, plain/inside", "lifted", inside(mesh), mesh
    for key, (name, options) in OF_VIEWS.items():
        function = partial(of_views, **options)
        whole = partial(function, name)
        yield f"{key}/one", name, whole, None
        yield f"{key}/jit", name, whole, mesh
        yield f"{key}/mapped", name, mapped(name, grid, function), grid
        if key in ("vicreg", "clip"):
            yield f"{key}/inside", name, inside(mesh, name, function), mesh
    _all.SORT_COST_ON_CPU = 0  # from here on
    jax.clear_caches()
    sorts = mapped("triplet_all", mesh)
    yield "triplet_all, plain/sorted", "triplet_all", sorts, mesh


def apart(mesh):
    """The loss of each device's part by itself: their mean."""

    def local(x, labels, other):
        return jax.lax.pmean(loss("lifted", x, labels, other), "data")

    return by_hand(local, mesh)


def inside(mesh, name="lifted", function=loss):
    """The gradient taken where each device has its part."""
    local = jax.value_and_grad(
        partial(function, name, axis_name="data"), argnums=(0, 2)
    )
    specs = P("data"), P("data"), P()
    return jax.shard_map(
        local, mesh=mesh, in_specs=specs, out_specs=(P(), (P("data"), P()))
    )


def traced_with_explicit_axes(mesh):
    """Names of the losses whose gradient JAX traces where arrays' types name axes."""
    explicit = jax.make_mesh(mesh.devices.shape, ("data",))
    for name in ONE_OF_EACH:
        function = jax.value_and_grad(partial(with_options, name), argnums=(0, 2))
        jax.eval_shape(function, *arguments(name, explicit, 64))
        yield name


def arguments(name, mesh, size):
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(size, DIM)), rng.integers(0, CLASSES, size)
    other = hyperparameters(name, NUMBER)
    if SPECS[name].proxies is not None:
        other = {SPECS[name].proxies.argument: rng.normal(size=(4 * CLASSES, DIM))}
    given = x, labels, jax.tree.map(np.asarray, other)
    if mesh is None:
        return given
    return jax.device_put(given, places(mesh))


def places(mesh):
    """Where `arguments` lie."""
    by_rows = NamedSharding(mesh, P(mesh.axis_names))
    return by_rows, by_rows, NamedSharding(mesh, P())


gradients = cache(partial(jax.value_and_grad, argnums=(0, 2)))


def lower(key, name, function, where, size):
    """Value and gradients of a program, and the arguments to call it with.

    By "jit" JAX traces a function once for one device and for all: there alone the
    arguments' types name no mesh. With names of its axes `traced_with_explicit_axes`
    traces all losses.
    """
    if not key.endswith("inside"):
        function = gradients(function)
    if key.endswith("/jit"):
        given = arguments(name, None, size)
        return jax.jit(function, in_shardings=places(where)).lower(*given), given
    given = arguments(name, where, size)
    return jax.jit(function).lower(*given), given


def main(out, wanted):
    count = jax.device_count()
    mesh = jax.make_mesh((count,), ("data",), axis_types=(AxisType.Auto,))
    found = {}
    for key, name, function, where in programs(mesh, wanted):
        lowered, given = lower(key, name, function, where, BATCHES[wanted])
        as_users = wanted == "arrays" or key in [f"{name}/one" for name in ONE_OF_EACH]
        with quickly(same_memory=as_users):
            program = lowered.compile()
        found[f"{key}/array"] = largest_array(program)
        temporaries = program.memory_analysis().temp_size_in_bytes
        found[f"{key}/temporaries"] = temporaries // 8  # in entries, too
        if wanted == "values":
            leaves = jax.device_get(jax.tree.leaves(program(*given)))
            found[f"{key}/values"] = np.concatenate([np.ravel(leaf) for leaf in leaves])
    if wanted == "values":
        found["explicit"] = list(traced_with_explicit_axes(mesh))
    np.savez(out, devices=count, **found)


if __name__ == "__main__":
    collect_seldom()
    jax.config.update("jax_enable_x64", True)
    main(*sys.argv[1:])
