"""How well embeddings retrieve and cluster, measured exactly on the device."""

from jml.evaluation._clustering._agreement import (
    adjusted_mutual_information as adjusted_mutual_information,
)
from jml.evaluation._clustering._agreement import (
    normalized_mutual_information as normalized_mutual_information,
)
from jml.evaluation._clustering._kmeans import Clustering as Clustering
from jml.evaluation._clustering._kmeans import kmeans as kmeans
from jml.evaluation._ranking._excluded import count_relevant as count_relevant

from ._evaluate import Evaluation as Evaluation
from ._evaluate import evaluate as evaluate
from ._neighbours import nearest_neighbours as nearest_neighbours
from ._recall import recall_at_k as recall_at_k

__all__ = [
    "Clustering",
    "Evaluation",
    "adjusted_mutual_information",
    "count_relevant",
    "evaluate",
    "kmeans",
    "nearest_neighbours",
    "normalized_mutual_information",
    "recall_at_k",
]
