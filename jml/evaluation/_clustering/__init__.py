"""k-means, and how well clusters agree with classes."""

from ._agreement import adjusted_mutual_information as adjusted_mutual_information
from ._agreement import normalized_mutual_information as normalized_mutual_information
from ._kmeans import Clustering as Clustering
from ._kmeans import kmeans as kmeans
from ._scores import clustering_scores as clustering_scores
from ._scores import default_clusterings as default_clusterings

__all__ = [
    "Clustering",
    "adjusted_mutual_information",
    "clustering_scores",
    "default_clusterings",
    "kmeans",
    "normalized_mutual_information",
]
