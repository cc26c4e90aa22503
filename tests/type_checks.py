"""Annotations are checked while the tests run: dtypes, and shapes within a call.

jaxtyping instruments the modules in `CHECKED` as they are imported, and beartype checks
the arguments and the result of each call. Under `jit` that is once a trace.

Losses and distances are left out where users call them. They take whatever JAX takes
for an array, such as a parameter of Flax, and refuse everything else with a ValueError
that the tests expect; what they pass on is checked in the functions that they call.
"""

from beartype import beartype
from jaxtyping import install_import_hook

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


def check(function):
    """What jaxtyping applies to each function of these modules."""
    return function if function.__name__ in CALLED_BY_USERS else beartype(function)


def install():
    """To be called before these modules are imported."""
    install_import_hook(CHECKED, "tests.type_checks.check")
