"""Annotations are checked while the tests run: dtypes, and shapes within a call.

jaxtyping instruments the modules in `CHECKED` as they are imported, and beartype checks
the arguments and the result of each call. Under `jit` that is once a trace.

Losses and distances are left out where users call them. They take whatever JAX takes
for an array, such as a parameter of Flax, and refuse everything else with a ValueError
that the tests expect; what they pass on is checked in the functions that they call.
"""

import inspect
from functools import wraps

import jaxtyping
from beartype import BeartypeConf, beartype
from jaxtyping import TypeCheckError, install_import_hook, jaxtyped

from jml._loss_specs import SPECS

CHECKED = (
    "jml._gram_distances",
    "jml._numerics",
    "jml.distances",
    "jml.evaluation",
    "jml.losses",
    "jml.pairwise",
    "jml.tiles",
)
CALLED_BY_USERS = {
    *(f"{name}_loss" for name in SPECS),
    *("pair_loss", "init_memory", "update_memory", "init_proxies"),
    *("class_loss", "init_class_weights", "sample_classes"),
    *("init_lengths", "update_lengths"),
    *("logits", "dominant_centers", "class_outliers"),
    *("squared_distances", "euclidean_distances", "normalize"),
    *("make_objective", "make_diagnostics"),
}


# Mistakes of types are TypeErrors, as those that JAX finds.
check = beartype(conf=BeartypeConf(violation_type=TypeCheckError))


def checks(*, typechecker):
    """As `jaxtyping.jaxtyped`, of functions with less work: these are many at a trace.

    That one has the arguments of each call checked twice, to say more of a mistake, and
    makes code anew for each function within another, most of which lack annotations.
    """

    def decorate(function):
        if not inspect.isfunction(function):  # a dataclass
            return jaxtyped(function, typechecker=typechecker)
        if function.__name__ in CALLED_BY_USERS or not function.__annotations__:
            return function
        checked = typechecker(function)

        @wraps(function)
        def call(*args, **kwargs):
            if jaxtyping.config.jaxtyping_disable:
                return function(*args, **kwargs)
            with jaxtyped("context"):  # in which a letter is one size
                return checked(*args, **kwargs)

        return call

    return decorate


def install():
    """To be called before these modules are imported."""
    jaxtyping.jaxtyped = checks  # by which the modules name it
    install_import_hook(CHECKED, "tests.type_checks.check")
