"""What the tests of all losses share: the losses, a small batch, what is compared."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.losses.cases import LOSSES, SPECS, conventions, hyperparameters

slow = pytest.mark.slow
ignore_missing_proxies = pytest.mark.filterwarnings(
    "ignore:proxy_nca_loss. `labels` of 5 and above"
)
PROXIES = jax.random.normal(jax.random.key(7), (5, 4))
LABELS = np.array([0, 1, 0, 2, 1, 0, 3, 2, 1, 0, 2, 4])
X = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)

# Each loss, in both conventions where it has them: "lifted-paper". Its name in `LOSSES`
# is the part before the dash.
CASES = {
    "-".join([name, *options.values()]): partial(
        loss, **options, **({} if SPECS[name].proxies is None else {"proxies": PROXIES})
    )
    for name, loss in LOSSES.items()
    for options in conventions(name)
}
SPEC_OF = {case: SPECS[case.partition("-")[0]] for case in CASES}
PAIR_CASES = [case for case, spec in SPEC_OF.items() if spec.proxies is None]
HYPERPARAMETERS = [
    (case, number.name) for case in CASES for number in SPEC_OF[case].hyperparameters
]


def for_each(names, argument="name"):
    """Parity with PyTorch has the original convention: here it is among the slow."""
    originals = {name for name in CASES if name.endswith("-original")}
    params = [
        pytest.param(*values, marks=slow if values[0] in originals else ())
        for values in (names if isinstance(argument, tuple) else zip(names))
    ]
    return pytest.mark.parametrize(argument, params)


def quick_for(*names):
    """All cases; those of other names are among the slow."""
    return pytest.mark.parametrize(
        "name",
        [pytest.param(case, marks=() if case in names else slow) for case in CASES],
    )


every = for_each(CASES)
every_pair = for_each(PAIR_CASES)
every_hyperparameter = for_each(HYPERPARAMETERS, ("name", "argument"))


def all_at(name, number):
    """That number for each hyperparameter of a case."""
    return hyperparameters(name.partition("-")[0], number)


def value_and_grad(name, x, labels=LABELS, **options):
    return jax.value_and_grad(CASES[name])(
        jnp.asarray(x), jnp.asarray(labels), **options
    )


def assert_same(one, other, rtol=1e-6):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)
