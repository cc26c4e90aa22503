"""The losses under test, from their table, and the PyTorch references beside them.

A loss stands here once for each word of its choices: "triplet_semi". No test has to
know a loss's hyperparameters by name: `hyperparameters` gives all of them a number.
"""

from functools import partial
from pathlib import Path

import jax
import numpy as np
import torch

import torch_ref
from jml._loss_specs import CONVENTION, variants
from jml._loss_specs import SPECS as TABLE
from jml.losses._objective import function_of
from tests.losses.definitions import value_of
from tests.losses.oracles import ORIGINAL, PAPER

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "seed_losses.npz")
GOLDEN_CASES = sorted({key.split("/")[0] for key in GOLDEN})
MARGINS = ("0.1", "0.5", "1.0")

SPECS = {variant: TABLE[name] for variant, (name, _) in variants().items()}
_EVERY = {
    variant: partial(function_of(name), **choices)
    for variant, (name, choices) in variants().items()
}
LOSSES = {n: loss for n, loss in _EVERY.items() if not SPECS[n].views}
_VIEWS = {n: loss for n, loss in _EVERY.items() if SPECS[n].views}
TOWER_LOSSES = {n: _VIEWS[n] for n in _VIEWS if "reference_where" in SPECS[n].takes}
VIEW_LOSSES = {n: loss for n, loss in _VIEWS.items() if n not in TOWER_LOSSES}
# One for each formula. Other variants differ by a word within a formula, such as the
# penalty of pnp: what spreads, blocks and maps a formula is the same for all its words.
_NAMED = {
    (name, *(choices[c.name] for c in TABLE[name].choices if c.named)): variant
    for variant, (name, choices) in reversed(variants().items())
}
# These are margin_softmax with margins of their own; tests/tiles spreads them.
_MARGINS = ("arcface", "cosface", "normalized_softmax", "elasticface", "adaface")
_MARGINS += ("magface", "soft_triple")
FORMULAS = [n for n in LOSSES if n in _NAMED.values() and n not in _MARGINS]
PAIR_LOSSES = {n: loss for n, loss in LOSSES.items() if SPECS[n].proxies is None}
REFERENCES = {
    "contrastive": torch_ref.ContrastiveLoss,
    "triplet_hardest": partial(torch_ref.TripletLoss, mining="hardest"),
    "triplet_semi": partial(torch_ref.TripletLoss, mining="semi"),
    "triplet_all": partial(torch_ref.TripletLoss, mining="all"),
    "lifted": torch_ref.LiftedLoss,
}


def oracle(name, convention="paper"):
    """What defines a loss in NumPy: loops of its own, or else its definition."""
    loops = ORIGINAL if convention == "original" else PAPER
    if name in loops:
        return loops[name]
    function, choices = variants()[name]
    define = loops.get(function) or partial(value_of, function)
    return partial(define, **choices)


def hyperparameters(name, number):
    """`number` for each hyperparameter of a loss, its default beyond its bounds."""

    def within(value, *, above=-np.inf, below=np.inf, minimum=-np.inf, maximum=np.inf):
        return above < value < below and minimum <= value <= maximum

    return {
        h.name: number if within(number, **h.bounds) else h.default
        for h in SPECS[name].hyperparameters
    }


def conventions(name):
    """The options to try a loss with: both conventions, where it has them."""
    if CONVENTION not in SPECS[name].choices:
        return [{}]
    return [{"convention": word} for word in CONVENTION.choices]


def textbook(name):
    """The options that make a loss its paper's formula."""
    return conventions(name)[-1]


def golden(case, loss, margin):
    """Value and gradient of one golden case."""
    key = f"{case}/{loss}/{margin}" if margin else f"{case}/{loss}"
    return GOLDEN[f"{key}/loss"], GOLDEN[f"{key}/grad"]


def torch_value_and_grad(module, embeddings, labels):
    """Value and gradient of a reference module."""
    x = torch.tensor(embeddings, requires_grad=True)
    value = module(x, torch.tensor(labels))
    value.backward()
    return value.item(), x.grad.numpy()


@partial(jax.jit, static_argnames=("name", "convention", "block_size"))
def _value_and_grad(name, x, labels, numbers, **options):
    loss = partial(PAIR_LOSSES[name], **numbers, **options)
    return jax.value_and_grad(loss)(x, labels)


def value_and_grad(name, x, labels, number, **options):
    """Value and gradient of one of `PAIR_LOSSES`, compiled once for each shape.

    All its hyperparameters are `number`.
    """
    return _value_and_grad(name, x, labels, hyperparameters(name, number), **options)


def exact_squared_distances(x, y=None):
    """`torch_ref.squared_distances`, with identical rows at exactly 0.

    Through the Gram matrix they come out at rounding noise, which differs from machine
    to machine, and whose square root is large enough to matter.
    """
    squared = torch_ref.squared_distances(x, y)
    y = x if y is None else y
    identical = (x.detach()[:, None, :] == y.detach()[None, :, :]).all(2)
    return squared.masked_fill(identical, 0)
