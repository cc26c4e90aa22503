"""How well embeddings retrieve and cluster, measured exactly on the device."""

from ._clustering import adjusted_mutual_information as adjusted_mutual_information
from ._clustering import normalized_mutual_information as normalized_mutual_information
from ._evaluate import Evaluation as Evaluation
from ._evaluate import evaluate as evaluate
from ._excluded import count_relevant as count_relevant
from ._kmeans import Clustering as Clustering
from ._kmeans import kmeans as kmeans
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
