"""The losses under test, from their table; tests/losses/references.py has PyTorch's.

A loss stands here once for each word of its choices: "triplet_semi". No test has to
know a loss's hyperparameters by name: `hyperparameters` gives all of them a number.
"""

from functools import partial

import jax
import numpy as np

from jml._loss_specs import CONVENTION, variants
from jml._loss_specs import SPECS as TABLE
from jml.losses._objective import function_of

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


@partial(jax.jit, static_argnames=("name", "convention", "block_size"))
def _value_and_grad(name, x, labels, numbers, **options):
    loss = partial(PAIR_LOSSES[name], **numbers, **options)
    return jax.value_and_grad(loss)(x, labels)


def value_and_grad(name, x, labels, number, **options):
    """Value and gradient of one of `PAIR_LOSSES`, compiled once for each shape.

    All its hyperparameters are `number`.
    """
    return _value_and_grad(name, x, labels, hyperparameters(name, number), **options)
