"""Losses of class weights beside their definitions: value and all gradients."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import torch

from jml import losses
from tests.losses.definitions import _classes
from tests.parity import assert_close

SIZE, DIM = 9, 4
POINTS = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "huge": lambda rng, shape: 1e15 * rng.normal(size=shape),
    "tiny": lambda rng, shape: 1e-5 * rng.normal(size=shape),
    "rows of zeros": lambda rng, shape: (
        rng.normal(size=shape) * (rng.random((*shape[:-1], 1)) < 0.7)
    ),
}


@partial(jax.jit, static_argnames=("name", "words", "block_size", "reduction"))
def library(name, words, x, weights, numbers, labels, where, **options):
    """Words are static options of the loss, as pairs."""

    def loss(x, weights, numbers):
        value = getattr(losses, f"{name}_loss")(
            x, labels, weights, where=where, **numbers, **dict(words), **options
        )
        places = jnp.arange(1.0, 1 + value.size).reshape(value.shape)
        return jnp.sum(value * places), value

    (_, value), by = jax.value_and_grad(loss, argnums=(0, 1, 2), has_aux=True)(
        x, weights, numbers
    )
    return value, by


def define(name, x, weights, numbers, labels, where, reduction, **more):
    """As `library`; more are arguments of the definition without a gradient."""
    leaves = [x, weights, *numbers.values()]
    leaves = [torch.tensor(np.float64(v), requires_grad=True) for v in leaves]
    named = dict(zip(numbers, leaves[2:], strict=True))
    found = getattr(_classes, name)(*leaves[:2], labels, where, **named, **more)
    zero = sum(0 * leaf.sum() for leaf in leaves)
    if reduction == "none":
        value = torch.stack([found.get(i, zero) + zero for i in range(len(x))])
    else:
        number = len(found)
        if reduction == "nonzero":
            number = sum(bool(v > 0) for v in found.values())
        value = sum(found.values()) + zero
        value = value / max(number, 1) if reduction != "sum" else value
    places = 1 + torch.arange(value.numel()).reshape(value.shape)
    by_x, by_weights, *rest = torch.autograd.grad((places * value).sum(), leaves)
    return value.detach(), (by_x, by_weights, dict(zip(numbers, rest, strict=True)))


def compare(found, expected, limit, label):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert np.all(np.isfinite(a)), label
        if np.max(np.abs(b), initial=0) < 1e-9:
            assert np.max(np.abs(a), initial=0) < 1e-9, label
        else:
            assert_close(a, b, limit, label=label)


def batch(rng, points, classes, centers):
    make = POINTS[points]
    shape = (classes, DIM) if centers == 1 else (classes, centers, DIM)
    labels = rng.integers(-1, classes + 1, SIZE)  # some have no weights
    return make(rng, (SIZE, DIM)), make(rng, shape), labels, rng.random(SIZE) < 0.85
