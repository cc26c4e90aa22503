"""How well embeddings retrieve and cluster, measured exactly on the device.

What it exports is imported on its first use: ``python -m jml.evaluation`` has to answer
``--help`` and Ctrl-C before JAX is loaded.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._clustering import Clustering as Clustering
    from ._clustering import adjusted_mutual_information as adjusted_mutual_information
    from ._clustering import kmeans as kmeans
    from ._clustering import (
        normalized_mutual_information as normalized_mutual_information,
    )
    from ._counts import count_neighbours as count_neighbours
    from ._counts import count_relevant as count_relevant
    from ._evaluate import evaluate as evaluate
    from ._evaluation import Evaluation as Evaluation
    from ._neighbours import nearest_neighbours as nearest_neighbours
    from ._recall import recall_at_k as recall_at_k

_MODULES = {
    "Clustering": "_clustering",
    "Evaluation": "_evaluation",
    "adjusted_mutual_information": "_clustering",
    "count_neighbours": "_counts",
    "count_relevant": "_counts",
    "evaluate": "_evaluate",
    "kmeans": "_clustering",
    "nearest_neighbours": "_neighbours",
    "normalized_mutual_information": "_clustering",
    "recall_at_k": "_recall",
}
__all__ = [
    "Clustering",
    "Evaluation",
    "adjusted_mutual_information",
    "count_neighbours",
    "count_relevant",
    "evaluate",
    "kmeans",
    "nearest_neighbours",
    "normalized_mutual_information",
    "recall_at_k",
]


def __getattr__(name: str) -> Any:
    """Imports a public name on its first use (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(
        import_module(f".{_MODULES[name]}", __name__), name
    )
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, "__doc__", "__file__", "__name__", "__path__"})
