"""A map of embeddings in the plane, where near embeddings are near points."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jml._attempts import Attempts
from jml._threads import as_here

from ._contents import EmbeddedImages, SearchResults
from ._tsne import tsne


class Map(NamedTuple):
    """A map of some of the queries of ``SearchResults``."""

    points: Float[np.ndarray, "p 2"]  # coordinates from 0 to 1, with four digits
    method: str


def begin_map(
    query: EmbeddedImages,
    results: SearchResults,
    drawn: Int[np.ndarray, " p"],
    metric: str,
    attempts: Attempts,
) -> Callable[[], Map]:
    """Begins to map the queries of these results; without t-SNE if that fails.

    Returns:
        A function that waits for the map: a thread computes it, mostly in XLA, while
        this one draws what needs no map.
    """
    embeddings = np.asarray(query.embeddings)[results.queries[drawn]]
    points_of = partial(embedding_map, embeddings, metric=metric)

    def draw() -> Map:
        with attempts.at("the map by t-SNE"):
            return rounded(*points_of())
        return rounded(*points_of(by_tsne=False))

    def rounded(points: np.ndarray, method: str) -> Map:
        return Map(points.astype(np.float64).round(4), method)

    pool = ThreadPoolExecutor(1, thread_name_prefix="map")
    map_of = pool.submit(as_here(draw))
    pool.shutdown(wait=False)  # the thread ends with the map
    return map_of.result


def embedding_map(
    embeddings: Float[np.ndarray, "n d"], *, metric: str, by_tsne: bool = True
) -> tuple[Float[np.ndarray, "n 2"], str]:
    """Coordinates from 0 to 1, centred, and the name of the method.

    The method is t-SNE (van der Maaten and Hinton, 2008) if `by_tsne` is set and there
    are enough points; else the first two principal components.
    """
    axis = 1 if metric == "cosine" else None
    largest = np.abs(embeddings).max(axis=axis, keepdims=True)
    x = (embeddings / np.where(largest > 0, largest, 1)).astype(np.float32)
    if metric == "cosine":
        x = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    x = x - x.mean(axis=0)
    components = _principal_components(x, 50)
    points, method = components[:, :2], "principal components"
    if by_tsne and len(x) >= 10 and x.any():
        perplexity = min(30, (len(x) - 1) / 3)
        points, method = tsne(components, points, perplexity=perplexity), "t-SNE"
    low, high = points.min(axis=0), points.max(axis=0)
    return 0.5 + (points - (low + high) / 2) / ((high - low).max() or 1), method


def _principal_components(x: Float[np.ndarray, "n d"], count: int) -> np.ndarray:
    """The first principal components, padded with zeros to two."""
    _, directions = np.linalg.eigh(x.T @ x)
    points = x @ directions[:, ::-1][:, :count]
    return np.pad(points, ((0, 0), (0, max(0, 2 - points.shape[1]))))
