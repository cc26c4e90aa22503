"""What the tests of all losses share: the losses, a small batch, what is compared."""

import inspect
from functools import cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.losses.cases import (
    FORMULAS,
    LOSSES,
    SPECS,
    TOWER_LOSSES,
    VIEW_LOSSES,
    conventions,
    hyperparameters,
)

slow = pytest.mark.slow
ignore_missing_proxies = pytest.mark.filterwarnings(
    "ignore:[a-z_]*_loss. `labels` of 5 and above"
)
PROXIES = jax.random.normal(jax.random.key(7), (5, 4))
LABELS = np.array([0, 1, 0, 2, 1, 0, 3, 2, 1, 0, 2, 4])
X = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)
KEEP = np.array([1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 0, 1], bool)  # a `where`


def own_parameters(name):
    """The proxies or class weights that a loss takes, by the argument's name."""
    proxies = SPECS[name].proxies
    return {} if proxies is None else {proxies.argument: PROXIES}


# Each loss, in both conventions where it has them: "lifted-paper". Its name in `LOSSES`
# is the part before the dash.
CASES = {
    "-".join([name, *options.values()]): partial(
        loss, **options, **own_parameters(name)
    )
    for name, loss in LOSSES.items()
    for options in conventions(name)
}


def with_second_view(loss, embeddings, labels, *, where=None, **options):
    """A loss of two views, the second made of the first, as one of items and labels."""
    second = jnp.roll(embeddings, 1, axis=1)
    if "reference_where" in inspect.signature(loss.func).parameters:
        options |= {"labels": labels, "reference_labels": labels}
        options |= {"reference_where": where}
    return loss(embeddings, second, where=where, **options)


SECOND_VIEW = VIEW_LOSSES | TOWER_LOSSES
ALL_CASES = CASES | {
    name: partial(with_second_view, loss) for name, loss in SECOND_VIEW.items()
}
SPEC_OF = {case: SPECS[case.partition("-")[0]] for case in ALL_CASES}
PAIR_CASES = [case for case in CASES if SPEC_OF[case].proxies is None]
HYPERPARAMETERS = [
    (case, number.name)
    for case in ALL_CASES
    for number in SPEC_OF[case].hyperparameters
]


def for_each(names, argument="name"):
    """Parity with PyTorch has the original convention: here it is among the slow."""
    originals = {name for name in CASES if name.endswith("-original")}
    params = [
        pytest.param(*values, marks=slow if values[0] in originals else ())
        for values in (names if isinstance(argument, tuple) else zip(names))
    ]
    return pytest.mark.parametrize(argument, params)


# Between them these go through all of the code that losses share. What is tested of
# them alone is that code's doing, and no formula can change it.
QUICK = ("contrastive-paper", "triplet_semi-paper", "proxy_nca")
REST = ("lifted-original", "multi_similarity")
representative = pytest.mark.parametrize(
    "name", [*QUICK, *(pytest.param(name, marks=slow) for name in REST)]
)


def quick_or_slow(names):
    """Of these cases, those that are not of `QUICK` are among the slow."""
    params = [pytest.param(n, marks=() if n in QUICK else slow) for n in names]
    return pytest.mark.parametrize("name", params)


every = for_each(ALL_CASES)
every_of_items = for_each(CASES)
every_formula = for_each(
    [case for case in ALL_CASES if case.partition("-")[0] in {*FORMULAS, *SECOND_VIEW}]
)
every_pair = for_each(PAIR_CASES)
every_hyperparameter = for_each(HYPERPARAMETERS, ("name", "argument"))
representative_hyperparameter = for_each(
    [pair for pair in HYPERPARAMETERS if pair[0] in QUICK + REST], ("name", "argument")
)


def all_at(name, number):
    """That number for each hyperparameter of a case."""
    return hyperparameters(name.partition("-")[0], number)


def value_and_grad(name, x, labels=LABELS, **options):
    """As a user has them who compiles nothing."""
    return jax.value_and_grad(CASES[name])(
        jnp.asarray(x), jnp.asarray(labels), **options
    )


class Derivatives(NamedTuple):
    """The value of a loss, and its derivatives by embeddings and hyperparameters.

    Two are along a direction: of the value, forward, and of the gradient, forward over
    reverse, as `jax.hessian` has it.
    """

    value: jax.Array
    gradient: tuple[jax.Array, dict[str, jax.Array]]
    slope: jax.Array | None = None
    curvature: tuple[jax.Array, dict[str, jax.Array]] | None = None


@cache
def program(name, block_size=None, *, second=False):
    """A case with all its arguments traced: compiled once for a shape and dtype."""
    static = {} if block_size is None else {"block_size": block_size}

    def derivatives(x, labels, where, numbers, *direction):
        def loss(x, numbers):
            return ALL_CASES[name](x, labels, where=where, **numbers, **static)

        gradient = jax.value_and_grad(loss, argnums=(0, 1))
        if not second:
            return Derivatives(*gradient(x, numbers))
        slope = jax.jvp(loss, (x, numbers), direction)[1]
        of_both, along = jax.jvp(gradient, (x, numbers), direction)
        return Derivatives(*of_both, slope, along[1])

    return jax.jit(derivatives)


def arguments(name, x, labels=LABELS, *, where=None, **numbers):
    """Those of a `program`. Hyperparameters have their defaults unless given."""
    where = np.ones(len(labels), bool) if where is None else where
    numbers = {k: np.float64(v) for k, v in (defaults(name) | numbers).items()}
    return x, labels, where, numbers


def defaults(name):
    return SPEC_OF[name].defaults()


def evaluate(name, x, labels=LABELS, *, block_size=None, **options):
    """The value and the gradients of a case."""
    return program(name, block_size)(*arguments(name, x, labels, **options))


def evaluate_exactly(name, x, labels=LABELS, *, direction=None, **options):
    """All derivatives in float64, by default along no direction."""
    with jax.enable_x64(True):
        given = arguments(name, np.asarray(x, np.float64), labels, **options)
        numbers = given[-1]
        if direction is None:
            direction = np.zeros(given[0].shape), {n: np.float64(0) for n in numbers}
        found = program(name, second=True)(*given, *direction)
    return jax.tree.map(np.asarray, found)


def assert_same(one, other, rtol=1e-6):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)


def assert_finite(found):
    """The value and the gradient by embeddings."""
    assert np.isfinite(found.value) and found.value.shape == ()
    assert np.all(np.isfinite(found.gradient[0]))
