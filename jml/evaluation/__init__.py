"""How well embeddings retrieve and cluster, measured exactly on the device.

What it exports is imported on its first use: ``python -m jml.evaluation`` has to answer
``--help`` and Ctrl-C before JAX is loaded.
"""

from typing import TYPE_CHECKING

from jml._first_use import import_on_first_use

if TYPE_CHECKING:
    from ._add_clustering import add_clustering as add_clustering
    from ._clustering import Clustering as Clustering
    from ._clustering import adjusted_mutual_information as adjusted_mutual_information
    from ._clustering import kmeans as kmeans
    from ._clustering import (
        normalized_mutual_information as normalized_mutual_information,
    )
    from ._counts import count_neighbours as count_neighbours
    from ._counts import count_relevant as count_relevant
    from ._duplicates import Duplicates as Duplicates
    from ._duplicates import find_duplicates as find_duplicates
    from ._evaluate import evaluate as evaluate
    from ._evaluation import Evaluation as Evaluation
    from ._near_pairs import NearPairs as NearPairs
    from ._near_pairs import near_pairs as near_pairs
    from ._neighbours import Neighbours as Neighbours
    from ._neighbours import nearest_neighbours as nearest_neighbours
    from ._ranking import compile_search as compile_search
    from ._recall import recall_at_k as recall_at_k
    from ._verification import Calibration as Calibration
    from ._verification import Curve as Curve
    from ._verification import OperatingPoint as OperatingPoint
    from ._verification import Verification as Verification
    from ._verification import calibrate as calibrate
    from ._verification import verification as verification

import_on_first_use(
    __name__,
    {
        "Calibration": "_verification",
        "Clustering": "_clustering",
        "Curve": "_verification",
        "Duplicates": "_duplicates",
        "Evaluation": "_evaluation",
        "NearPairs": "_near_pairs",
        "Neighbours": "_neighbours",
        "OperatingPoint": "_verification",
        "Verification": "_verification",
        "add_clustering": "_add_clustering",
        "adjusted_mutual_information": "_clustering",
        "calibrate": "_verification",
        "compile_search": "_ranking",
        "count_neighbours": "_counts",
        "count_relevant": "_counts",
        "evaluate": "_evaluate",
        "find_duplicates": "_duplicates",
        "kmeans": "_clustering",
        "near_pairs": "_near_pairs",
        "nearest_neighbours": "_neighbours",
        "normalized_mutual_information": "_clustering",
        "recall_at_k": "_recall",
        "verification": "_verification",
    },
)
