"""Annotations are checked while the tests run: dtypes, and shapes within a call.

jaxtyping instruments the modules in `CHECKED` as they are imported, and beartype checks
the arguments and the result of each call. Under `jit` that is once a trace.

The functions that users call are left out. They take whatever JAX takes for an array,
such as a parameter of Flax, and refuse everything else with a ValueError that the tests
expect; what they pass on is checked in the functions that they call.
"""

from importlib.util import find_spec

from jaxtyping import install_import_hook

from jml._loss_specs import SPECS

CHECKED = (
    "jml._gram_distances",
    "jml._numerics",
    "jml.distances",
    "jml.losses",
    "jml.pairwise",
)
CALLED_BY_USERS = {
    *(spec.function for spec in SPECS.values()),
    *("pair_loss", "init_memory", "update_memory", "init_proxies"),
    *("squared_distances", "euclidean_distances", "normalize"),
    *("make_objective", "make_diagnostics"),
}


def check(function):
    """What jaxtyping applies to each function of these modules."""
    from beartype import beartype

    return function if function.__name__ in CALLED_BY_USERS else beartype(function)


def install():
    """To be called before these modules are imported; needs the `test` extra."""
    if find_spec("beartype") is not None:
        install_import_hook(CHECKED, "tests.type_checks.check")
