"""How well embeddings retrieve and cluster, measured exactly on the device."""

from ._clustering import Clustering as Clustering
from ._clustering import adjusted_mutual_information as adjusted_mutual_information
from ._clustering import kmeans as kmeans
from ._clustering import normalized_mutual_information as normalized_mutual_information
from ._counts import count_neighbours as count_neighbours
from ._counts import count_relevant as count_relevant
from ._evaluate import evaluate as evaluate
from ._evaluation import Evaluation as Evaluation
from ._neighbours import nearest_neighbours as nearest_neighbours
from ._recall import recall_at_k as recall_at_k

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
