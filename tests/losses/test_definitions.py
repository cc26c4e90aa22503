"""Every pair loss of the table against its definition, in each kind of use."""

import inspect
import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jml.losses import Memory
from tests.losses.cases import PAIR_LOSSES, SPECS, textbook
from tests.losses.definitions import (
    DEFINITIONS,
    MINERS,
    TOGETHER,
    reduce,
    relate,
    relate_by_numbers,
)
from tests.parity import assert_close

pytestmark = pytest.mark.usefixtures("quick_compilation")

SIZE, DIM, REFERENCES, REMEMBERED, NAMES = 12, 4, 9, 7, 5


def parameters(name):
    """What a loss can be called with."""
    return inspect.signature(PAIR_LOSSES[name].func).parameters


def family(name):
    """A loss's name in the table, and the words of its choices."""
    options = PAIR_LOSSES[name].keywords
    return PAIR_LOSSES[name].func.__name__.removesuffix("_loss"), options


# What a loss must take for each kind of use, and the reduction there.
KINDS = {
    "labels": ({"related"}, "mean"),
    "memory": ({"memory", "related"}, "sum"),
    "references": ({"references", "memory"}, "mean"),
    "many_hot": ({"related"}, "nonzero"),
    "related": ({"related"}, "none"),
    "mined": ({"miner"}, "mean"),
}
PAIRS = [
    (name, kind)
    for name in PAIR_LOSSES
    for kind, (needs, _) in KINDS.items()
    if needs <= set(parameters(name))
]
USES = [
    pytest.param(*use, marks=() if use[1] == "labels" else pytest.mark.slow)
    for use in PAIRS
]
# Each loss has one of the miners, so that all kinds of sums meet several.
MINED = dict(zip(PAIR_LOSSES, itertools.cycle(MINERS), strict=False))
OF_MINERS = {
    "batch_hard": {},
    "easy_hard": {"positives": "easy", "negatives": "semihard"},
    "multi_similarity": {"epsilon": 0.1},
    "pair_margin": {"pos_margin": 0.6, "neg_margin": 1.2},
    "triplet_margin": {"margin": 0.2, "kind": "semihard"},
}
# Of a whole batch there is one number, whatever the reduction.
WHOLE = {"cosent", "histogram", "margin", "clip"}


def reduction_of(name, kind):
    reducible = "reduction" in parameters(name) and family(name)[0] not in WHOLE
    return KINDS[kind][1] if reducible else "mean"


def test_every_loss_of_pairs_has_a_definition():
    assert {family(name)[0] for name in PAIR_LOSSES} <= set(DEFINITIONS)


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
# Where a number stands at a kink, any slope between those of its sides is right.
KINKED = ("duplicates", "ties", "rows of zeros")


class Case:
    """Embeddings, what they are compared with, and how the library is told."""

    def __init__(self, kind, points, seed, classes, dtype=np.float64):
        rng = np.random.default_rng(seed)
        self.x = POINTS[points](rng, SIZE).astype(dtype)
        where = rng.random(SIZE) < 0.85
        self.references = self.kept = None
        self.options = {"where": where}
        if kind == "related":
            self.related(rng, where)
            return
        self.labels = draw_labels(rng, SIZE, classes, kind == "many_hot")
        columns = column_where = memory = None
        if kind == "references":
            self.references = POINTS[points](rng, REFERENCES).astype(dtype)
            columns = draw_labels(rng, REFERENCES, classes, False)
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

    def related(self, rng, where):
        self.labels = None
        related = rng.choice([0, 0, 0, 0.5, 1, 2, -1, np.nan], (SIZE, SIZE))
        related = np.where(np.tri(SIZE, dtype=bool), related, related.T)
        self.options["related"] = related.astype(self.x.dtype)
        self.relations = relate_by_numbers(related, where, where, SIZE)


def draw_labels(rng, size, classes, many_hot):
    if many_hot:
        return rng.random((size, NAMES)) < 0.25
    return rng.integers(0, classes, size)


def numbers_of(name, factor):
    """The defaults, or 0.3 for 0, times a factor where that is within the bounds."""
    numbers = {}
    for h in SPECS[name].hyperparameters:
        number = factor * (h.default or 0.3)
        low, high = h.bounds.get("minimum", h.bounds.get("above")), h.bounds
        high = high.get("maximum", high.get("below"))
        inside = (low is None or low < number) and (high is None or number < high)
        numbers[h.name] = number if inside else h.default
    return numbers


@partial(jax.jit, static_argnames=("name", "reduction"))
def library(name, x, references, numbers, labels, reduction, **options):
    """Value and gradients by embeddings, references and numbers."""

    def loss(x, references, numbers):
        more = {} if references is None else {"references": references}
        more |= {} if reduction == "mean" else {"reduction": reduction}
        arguments = (x,) if labels is None else (x, labels)
        given = numbers | options | more | textbook(name)
        value = PAIR_LOSSES[name](*arguments, **given)
        # Of several numbers a sum whose terms differ, so that none stands for another.
        return jnp.sum(value * (1 + jnp.arange(value.size)).reshape(value.shape)), value

    return jax.value_and_grad(loss, argnums=(0, 1, 2), has_aux=True)(
        x, references, numbers
    )


def definition(name, case, numbers, reduction="mean"):
    """Value and gradients as the library's."""
    family_name, choices = family(name)
    x, references = (
        None if a is None else torch.tensor(a.astype(float), requires_grad=True)
        for a in (case.x, case.references)
    )
    numbers = {
        k: torch.tensor(float(v), dtype=torch.float64, requires_grad=True)
        for k, v in numbers.items()
    }
    y = x if references is None else references
    if case.kept is not None:
        y = torch.cat([y, torch.tensor(case.kept.astype(float))])
    value = DEFINITIONS[family_name](x, y, case.relations, **numbers, **choices)
    if isinstance(value, list):
        together = family_name in TOGETHER
        value = reduce(value, reduction, len(x), together=together)
    weighted = (value * (1 + torch.arange(value.numel())).reshape(value.shape)).sum()
    by = [x, *([] if references is None else [references]), *numbers.values()]
    if not weighted.requires_grad:
        weighted = weighted + 0 * x.sum()
    grads = torch.autograd.grad(weighted, by, allow_unused=True)
    grads = [
        np.zeros(b.shape) if g is None else g.numpy()
        for b, g in zip(by, grads, strict=True)
    ]
    names = ["embeddings", *([] if references is None else ["references"]), *numbers]
    return value.numpy(force=True), dict(zip(names, grads, strict=True))


def check(name, case, numbers, limit, *, label, kinked, reduction="mean"):
    x = jnp.asarray(case.x)
    (_, value), (by_x, by_references, by_numbers) = library(
        name, x, case.references, numbers, case.labels, reduction, **case.options
    )
    expected, gradients = definition(name, case, numbers, reduction)
    close(value, expected, limit, 1, f"{name}, {label}")
    found = {"embeddings": by_x, **by_numbers}
    found |= {} if by_references is None else {"references": by_references}
    for key, gradient in gradients.items():
        assert np.all(np.isfinite(found[key])), f"{name}, {label}: {key}"
        if not kinked:
            scale = (
                1 / np.max(np.abs(case.x)) if key in ("embeddings", "references") else 1
            )
            close(found[key], gradient, limit, scale, f"{key} of {name}, {label}")


def close(found, expected, limit, scale, label):
    """Relative to the largest, or to a millionth of the scale where all is less."""
    if np.max(np.abs(expected), initial=0) < 1e-6 * scale:
        assert np.max(np.abs(found - expected), initial=0) <= 1e-6 * scale * limit, (
            label
        )
    else:
        assert_close(found, expected, limit, label=label)


@pytest.mark.parametrize(("name", "kind"), USES)
@settings(max_examples=4)
@given(
    seed=st.integers(0, 2**32 - 1),
    classes=st.integers(1, 8),
    factor=st.sampled_from([1.0, 0.6, 1.7]),
)
def test_losses_equal_their_definitions(name, kind, seed, classes, factor):
    numbers, reduction = numbers_of(name, factor), reduction_of(name, kind)
    with jax.enable_x64(True):
        for points in POINTS:
            label = f"{kind}, {points}, seed {seed}, {classes} classes, {factor}"
            case = Case(kind, points, seed, classes)
            kinked = points in KINKED
            check(
                name,
                case,
                numbers,
                1e-10,
                label=label,
                kinked=kinked,
                reduction=reduction,
            )


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [n for n in PAIR_LOSSES if "reduction" in parameters(n)]
)
def test_losses_in_float32_are_close_to_their_definitions(name):
    for seed in range(10):
        case = Case("labels", "normal", seed, 1 + seed % 5, np.float32)
        numbers = {k: np.float32(v) for k, v in numbers_of(name, 1.0).items()}
        check(name, case, numbers, 1e-4, label=f"float32, seed {seed}", kinked=False)
