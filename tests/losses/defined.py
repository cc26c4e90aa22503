"""A loss beside its definition: the library's value and gradients, and PyTorch's."""

import inspect
import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import torch

from jml import miners
from jml.losses import Memory
from tests.losses.cases import FORMULAS, PAIR_LOSSES, SPECS, textbook
from tests.losses.definitions import (
    DEFINITIONS,
    MINERS,
    TOGETHER,
    reduce,
    relate,
    relate_by_numbers,
)
from tests.parity import assert_close

SIZE, DIM, REFERENCES, REMEMBERED, NAMES = 12, 4, 9, 7, 5

# Of each kind of use: what a loss must take for it, and the reduction in it.
KINDS = {
    "labels": ({"related"}, "mean"),
    "memory": ({"memory", "related"}, "sum"),
    "references": ({"references", "memory"}, "nonzero"),
    "many-hot": ({"related"}, "nonzero"),
    "related": ({"related"}, "none"),
    "mined": ({"miner"}, "mean"),
}
IN_BLOCKS = ("memory", "references")  # of five anchors
# Formulas see no labels, only which pairs are positive: a few have many-hot ones.
OF_MANY_HOT_LABELS = (
    "contrastive",
    "lifted",
    "multi_similarity",
    "triplet_all",
    "triplet_hardest",
)
POINTS = {
    "normal": lambda rng, size: rng.normal(size=(size, DIM)),
    "near one another": lambda rng, size: 1 + 0.3 * rng.normal(size=(size, DIM)),
    "duplicates": lambda rng, size: rng.normal(size=(4, DIM))[rng.integers(0, 4, size)],
    "rows of zeros": lambda rng, size: (
        rng.normal(size=(size, DIM)) * (rng.random((size, 1)) < 0.7)
    ),
    "ties": lambda rng, size: rng.integers(-2, 3, (size, DIM)).astype(float),
    "huge": lambda rng, size: 1e15 * rng.normal(size=(size, DIM)),
    "tiny": lambda rng, size: 1e-5 * rng.normal(size=(size, DIM)),
}
# Miners and their options, of the library and of the definitions.
MINED = {
    "batch_hard": {},
    "easy_hard": {"positives": "easy", "negatives": "semihard"},
    "multi_similarity": {"epsilon": 0.1},
    "pair_margin": {"pos_margin": 0.6, "neg_margin": 1.2},
    "triplet_margin": {"margin": 0.2, "kind": "semihard"},
}
# Each loss meets one of them, so that each kind of sum meets several.
MINER_OF = dict(zip(PAIR_LOSSES, itertools.cycle(MINED), strict=False))


def parameters(name):
    """What a loss can be called with."""
    return inspect.signature(PAIR_LOSSES[name].func).parameters


def family(name):
    """A loss's name in the table, and the words of its choices."""
    loss = PAIR_LOSSES[name]
    return loss.func.__name__.removesuffix("_loss"), loss.keywords


def reduction_of(name, kind):
    reduction = KINDS[kind][1]
    lacks = reduction == "none" and PAIR_LOSSES[name].keywords.get("swap")
    return "mean" if lacks or "reduction" not in parameters(name) else reduction


# A variant by a word of its formula meets one kind beside labels, in turn.
TURNS = itertools.cycle(kind for kind in KINDS if kind not in ("labels", "many-hot"))
KIND_OF = {name: next(TURNS) for name in PAIR_LOSSES if name not in FORMULAS}
USES = [
    (name, kind)
    for name in PAIR_LOSSES
    for kind, (needs, _) in KINDS.items()
    if needs <= set(parameters(name))
    if kind != "many-hot" or name in OF_MANY_HOT_LABELS
    if kind in ("labels", KIND_OF.get(name, kind))
]


class Case:
    """A batch, what it is compared with, and how a loss is told."""

    def __init__(self, kind, points, seed, classes, dtype=np.float64):
        rng = np.random.default_rng(seed)
        self.kind, self.options = kind, {}
        self.x = POINTS[points](rng, SIZE).astype(dtype)
        self.options["where"] = where = rng.random(SIZE) < 0.85
        self.labels = self.references = self.kept = None
        if kind == "related":
            related = rng.choice([0, 0, 0, 0.5, 1, 2, -1, np.nan], (SIZE, SIZE))
            related = np.where(np.tri(SIZE, dtype=bool), related, related.T)
            self.options["related"] = related.astype(dtype)
            self.relations = relate_by_numbers(related, where, where, SIZE)
            return
        self.labels = rng.integers(0, classes, SIZE)
        if kind == "many-hot":
            self.labels = rng.random((SIZE, NAMES)) < 0.25
        columns = column_where = memory = None
        if kind == "references":
            self.references = POINTS[points](rng, REFERENCES).astype(dtype)
            columns = rng.integers(0, classes, REFERENCES)
            column_where = rng.random(REFERENCES) < 0.85
            self.options["reference_labels"] = columns
            self.options["reference_where"] = column_where
        if kind in ("memory", "references"):
            self.kept = POINTS[points](rng, REMEMBERED).astype(dtype)
            memory = rng.integers(0, classes, REMEMBERED), rng.random(REMEMBERED) < 0.7
            self.options["memory"] = Memory(self.kept, *memory, np.zeros((), np.int32))
        self.relations = relate(
            self.labels, columns, where=where, column_where=column_where, memory=memory
        )


def numbers_of(name, factor):
    """The defaults, or 0.3 for 0, times a factor where that is within the bounds."""
    numbers = {}
    for h in SPECS[name].hyperparameters:
        number, bounds = factor * (h.default or 0.3), h.bounds
        low = bounds.get("minimum", bounds.get("above", -np.inf))
        high = bounds.get("maximum", bounds.get("below", np.inf))
        numbers[h.name] = number if low < number < high else h.default
    return numbers


@partial(jax.jit, static_argnames=("name", "kind", "words"))
def library(name, kind, words, x, references, labels, numbers, **options):
    """Value and gradients by embeddings, references and numbers."""
    if "reduction" in parameters(name):
        options["reduction"] = reduction_of(name, kind)
    if kind == "mined":
        miner = MINER_OF[name]
        options["miner"] = getattr(miners, miner)(**MINED[miner])
    if kind in IN_BLOCKS and "block_size" in parameters(name):
        options["block_size"] = 5
    if labels is not None:
        options["labels"] = labels

    def loss(x, references, numbers):
        given = options | numbers | textbook(name) | dict(words)
        if references is not None:
            given["references"] = references
        value = PAIR_LOSSES[name](x, **given)
        # Of [B] numbers a sum in which none can stand for another.
        return jnp.sum(
            value * jnp.arange(1.0, 1 + value.size).reshape(value.shape)
        ), value

    grads = jax.value_and_grad(loss, argnums=(0, 1, 2), has_aux=True)
    (_, value), (by_x, by_references, by_numbers) = grads(x, references, numbers)
    return value, {"embeddings": by_x, "references": by_references, **by_numbers}


def define(name, case, numbers, **words):
    """Value and gradients as the library's."""
    loss, choices = family(name)
    leaves = {"embeddings": case.x, **numbers}
    if case.references is not None:
        leaves["references"] = case.references
    leaves = {
        k: torch.tensor(np.asarray(v, np.float64), requires_grad=True)
        for k, v in leaves.items()
    }
    x, relations = leaves["embeddings"], case.relations
    y = leaves.get("references", x)
    if case.kept is not None:
        y = torch.cat([y, torch.tensor(case.kept.astype(float))])
    if case.kind == "mined":
        miner = MINER_OF[name]
        measure = "directions" if compares_directions(name) else "distances"
        measure = "products" if choices.get("similarity") == "dot" else measure
        relations = MINERS[miner](x, y, relations, **MINED[miner], measure=measure)
    numbers = {k: leaves[k] for k in numbers}
    value = DEFINITIONS[loss](x, y, relations, **numbers, **(choices | words))
    if isinstance(value, list):
        reduction = reduction_of(name, case.kind)
        value = reduce(value, reduction, len(x), together=loss in TOGETHER)
    places = 1 + torch.arange(value.numel()).reshape(value.shape)
    total = (value * places).sum() + 0 * x.sum()
    grads = torch.autograd.grad(total, list(leaves.values()), allow_unused=True)
    grads = dict(zip(leaves, grads, strict=True))
    return value.numpy(force=True), {
        k: np.zeros(leaves[k].shape) if g is None else g.numpy()
        for k, g in grads.items()
    }


def compares_directions(name):
    """Whether a loss scales embeddings to length one."""
    _, choices = family(name)
    dot = choices.get("similarity") == "dot" or choices.get("normalized") is False
    return SPECS[name].unit_length and not dot


def check(name, case, numbers, limit, *, label, kinked=False, **words):
    """Compares values and, where they are not at a kink, gradients.

    `words` are further choices of the loss.
    """
    arrays = case.x, case.references, case.labels
    options = tuple(words.items())
    found, by = library(name, case.kind, options, *arrays, numbers, **case.options)
    expected, gradients = define(name, case, numbers, **words)
    label = f"{name}, {case.kind}, {label}"
    close(found, expected, limit, 1e-4, label)
    for key, gradient in gradients.items():
        assert np.all(np.isfinite(by[key])), f"by {key} of {label}"
        if key in numbers:  # which is a difference of numbers like this
            scale = np.max(np.abs(expected), initial=1e-3) / (
                np.max(np.abs(numbers[key])) or 1
            )
        else:
            scale = 1e-3 / np.max(np.abs(case.x), initial=1e-9)
        if not kinked:
            close(by[key], gradient, limit, scale, f"by {key} of {label}")


def close(found, expected, limit, scale, label):
    """Relative to the largest, or to the scale if that is more."""
    if np.max(np.abs(expected), initial=0) < scale:
        error = np.max(np.abs(found - expected), initial=0) / scale
        assert error <= limit, f"{label}: difference {error:.3g} of {scale:.3g}"
    else:
        assert_close(found, expected, limit, label=label)
