"""A map of embeddings in the plane, where near embeddings are near points."""

from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jml._attempts import Attempts

from ._contents import EmbeddedImages, SearchResults


class Map(NamedTuple):
    """A map of some of the queries of ``SearchResults``."""

    drawn: Int[np.ndarray, " p"]  # which of the results
    points: Float[np.ndarray, "p 2"]  # coordinates from 0 to 1
    method: str


def draw_map(
    query: EmbeddedImages,
    results: SearchResults,
    drawn: Int[np.ndarray, " p"],
    metric: str,
    seed: int,
    attempts: Attempts,
) -> Map:
    """Maps the queries of these results; without t-SNE if that fails."""
    embeddings = np.asarray(query.embeddings)[results.queries[drawn]]
    points_of = partial(embedding_map, embeddings, metric=metric, seed=seed)
    with attempts.at("the map by t-SNE"):
        return Map(drawn, *points_of())
    return Map(drawn, *points_of(tsne=False))


def embedding_map(
    embeddings: Float[np.ndarray, "n d"], *, metric: str, seed: int, tsne: bool = True
) -> tuple[Float[np.ndarray, "n 2"], str]:
    """Coordinates from 0 to 1, centred, and the name of the method.

    The method is t-SNE (van der Maaten and Hinton, 2008) if `tsne` is set, scikit-learn
    is installed and there are enough points; else the first two principal components.
    """
    axis = 1 if metric == "cosine" else None
    largest = np.abs(embeddings).max(axis=axis, keepdims=True)
    x = (embeddings / np.where(largest > 0, largest, 1)).astype(np.float32)
    if metric == "cosine":
        x = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    x = x - x.mean(axis=0)
    points = _tsne(x, seed) if tsne and len(x) >= 10 and x.any() else None
    method = "principal components" if points is None else "t-SNE"
    points = _principal_components(x) if points is None else points
    low, high = points.min(axis=0), points.max(axis=0)
    return 0.5 + (points - (low + high) / 2) / ((high - low).max() or 1), method


def _tsne(x: Float[np.ndarray, "n d"], seed: int) -> np.ndarray | None:
    """The map by t-SNE; None where scikit-learn is not installed."""
    try:
        from sklearn.manifold import TSNE
        from threadpoolctl import threadpool_limits
    except ImportError:
        return None
    perplexity = min(30, (len(x) - 1) / 3)
    model = TSNE(perplexity=perplexity, init="pca", random_state=seed)
    # The threads wait for one another at every step. Where another process holds a
    # core, several threads take five times as long as one.
    with threadpool_limits(1):
        return model.fit_transform(_principal_components(x, 50))


def _principal_components(x: Float[np.ndarray, "n d"], count: int = 2) -> np.ndarray:
    """The first principal components, padded with zeros to two."""
    _, directions = np.linalg.eigh(x.T @ x)
    points = x @ directions[:, ::-1][:, :count]
    return np.pad(points, ((0, 0), (0, max(0, 2 - points.shape[1]))))
