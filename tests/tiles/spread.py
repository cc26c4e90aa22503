"""Class weights spread over devices, in a process of its own.

It writes to the file OUT, by program, value and gradients, on one device and on eight,
and the entries of the largest array that a device holds.
"""

import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from jml import losses
from tests.compilation import largest_array, quickly
from tests.garbage import collect_seldom

BATCH, CLASSES, DIM, TILE = 64, 1024, 6, 16
# By name: the shape of the mesh, and over which of its axes batch and classes are.
GRID = (2, 4)
WAYS = {
    "batch": ("a", None),
    "classes": (None, "b"),
    "both": ("b", "b"),
    "two axes": ("a", "b"),
    "batch over both": (("a", "b"), "b"),
    "classes over both": ("a", ("a", "b")),
}
OF_PROXIES = [("proxy_nca", "two axes")]
OF_PROXIES += [("proxy_anchor", way) for way in ("batch", "classes over both", "jit")]
RUNS = [(way, "mean") for way in WAYS] + [("both", "none"), ("two axes", "none")]


def loss(x, weights, scale, margin, labels, where, **options):
    return losses.arcface_loss(
        x,
        labels,
        weights,
        scale=scale,
        margin=margin,
        where=where,
        block_size=TILE,
        **options,
    )


def sampled(x, weights, scale, margin, labels, where, **options):
    """With all classes of each device in its sample, in another order."""
    rows, classes = losses.sample_classes(
        jax.random.key(0),
        labels,
        num_classes=len(weights),
        size=len(weights),
        axis_name=options["axis_name"],
        class_axis_name=options["class_axis_name"],
    )
    options |= {"classes": classes}
    return loss(x, weights[rows], scale, margin, labels, where, **options)


def softmaxes(x, weights, scale, margin, labels, where, **options):
    """Those losses whose margins depend on the whole batch, or on the centers."""
    options |= {"where": where, "block_size": TILE, "scale": scale}
    key = jax.random.key(1)
    total = losses.adaface_loss(x, labels, weights, **options)
    total += losses.elasticface_loss(
        x, labels, weights, key=key, deviation=0.1, plus=True, **options
    )
    total += losses.magface_loss(x, labels, weights, min_length=1.0, **options)
    centers = jnp.stack([weights, jnp.sin(weights)], axis=1)
    return total + losses.soft_triple_loss(
        x, labels, centers, margin=margin, label_smoothing=0.1, **options
    )


def proxy_anchor(x, proxies, scale, margin, labels, where, **options):
    options = {k: v for k, v in options.items() if k != "reduction"}
    options |= {"where": where, "block_size": TILE, "margin": scale / 100}
    return losses.proxy_anchor_loss(x, labels, proxies, alpha=scale, **options)


def proxy_nca(x, proxies, scale, margin, labels, where, **options):
    options |= {"where": where, "block_size": TILE, "own_in_denominator": True}
    return losses.proxy_nca_loss(x, labels, proxies, scale=scale, **options)


def arguments():
    rng = np.random.default_rng(0)
    x, weights = rng.normal(size=(BATCH, DIM)), rng.normal(size=(CLASSES, DIM))
    labels = rng.integers(-1, CLASSES + 1, BATCH)
    margin, where = rng.random(BATCH) / 2, rng.random(BATCH) < 0.8
    return tuple(map(jnp.asarray, (x, weights, 10.0, margin, labels, where)))


def mapped(mesh, batch, classes, reduction, function=loss):
    function = partial(
        function, axis_name=batch, class_axis_name=classes, reduction=reduction
    )
    part = P(batch) if batch else P()
    specs = part, P(classes) if classes else P(), P(), part, part, part
    out = part if reduction == "none" else P()
    return jax.shard_map(function, mesh=mesh, in_specs=specs, out_specs=out)


def gradients(function):
    """Of a sum in which no entry can stand for another."""

    def total(*given):
        value = function(*given)
        places = jnp.arange(1.0, 1 + value.size).reshape(value.shape)
        return jnp.sum(value * places), value

    return jax.value_and_grad(total, argnums=(0, 1, 2, 3), has_aux=True)


def programs(mesh):
    for reduction in ("mean", "none"):
        yield f"one/{reduction}", gradients(partial(loss, reduction=reduction)), ()
    for name, reduction in RUNS:
        batch, classes = WAYS[name]
        function = gradients(mapped(mesh, batch, classes, reduction))
        yield f"{name}/{reduction}", function, (P(batch), P(classes))
    function = gradients(mapped(mesh, "a", "b", "mean", sampled))
    yield "sampled/mean", function, (P("a"), P("b"))
    yield "jit/mean", gradients(loss), (P(), P(("a", "b")))
    for function in (proxy_nca, proxy_anchor):
        yield f"{function.__name__}/one", gradients(function), ()
    for name, way in OF_PROXIES:
        function = {"proxy_nca": proxy_nca, "proxy_anchor": proxy_anchor}[name]
        if way == "jit":
            yield f"{name}/{way}", gradients(function), (P(), P(("a", "b")))
            continue
        function = gradients(mapped(mesh, *WAYS[way], "mean", function))
        yield f"{name}/{way}", function, tuple(map(P, WAYS[way]))
    yield "softmaxes/one", gradients(softmaxes), ()
    function = gradients(mapped(mesh, "a", "b", "mean", softmaxes))
    yield "softmaxes/mean", function, (P("a"), P("b"))


def main(out):
    mesh = jax.make_mesh(GRID, ("a", "b"), axis_types=2 * (AxisType.Auto,))
    given, found = arguments(), {}
    for key, function, specs in programs(mesh):
        placed = list(given)
        for number, spec in enumerate(specs):
            placed[number] = jax.device_put(given[number], NamedSharding(mesh, spec))
        program = jax.jit(function).lower(*placed).compile()
        found[f"{key}/array"] = largest_array(program)
        leaves = jax.device_get(jax.tree.leaves(program(*placed)))
        found[key] = np.concatenate([np.ravel(leaf) for leaf in leaves])
    np.savez(out, devices=jax.device_count(), **found)


if __name__ == "__main__":
    collect_seldom()
    jax.config.update("jax_enable_x64", True)
    with quickly():  # after XLA has divided the arrays
        main(sys.argv[1])
