"""The classes of pytorch-metric-learning, module by module.

``python -m tests.docs.pml_classes > tests/docs/pml_2_9.txt`` lists those of the
installed version.
"""

from importlib import import_module
from inspect import getmembers, isclass

PACKAGE = "pytorch_metric_learning"
MODULES = (
    *("losses", "miners", "distances", "reducers", "regularizers"),
    *("samplers", "trainers", "testers", "utils.inference"),
)


def installed_classes():
    """The lines of the list, module.Class, without what a module only imports."""
    for module in MODULES:
        name = f"{PACKAGE}.{module}"
        for class_name, member in getmembers(import_module(name), isclass):
            if member.__module__.startswith(name):
                yield f"{module}.{class_name}"


if __name__ == "__main__":
    print("\n".join(installed_classes()))
