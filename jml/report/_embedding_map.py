"""A map of embeddings: near in space, near on paper."""

import numpy as np
from jaxtyping import Float


def embedding_map(
    embeddings: Float[np.ndarray, "n d"], *, metric: str, seed: int, tsne: bool = True
) -> tuple[Float[np.ndarray, "n 2"], str]:
    """Coordinates from 0 to 1 about the middle, and what they were made with.

    t-SNE (van der Maaten and Hinton, 2008) where scikit-learn is installed, there are
    enough points for it and `tsne` is on; else the first two principal components.
    """
    axis = 1 if metric == "cosine" else None
    largest = np.abs(embeddings).max(axis=axis, keepdims=True)
    x = (embeddings / np.where(largest > 0, largest, 1)).astype(np.float32)
    if metric == "cosine":
        x = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    x = x - x.mean(axis=0)
    try:
        from sklearn.manifold import TSNE
        from threadpoolctl import threadpool_limits
    except ImportError:
        TSNE = None
    if not tsne or TSNE is None or len(x) < 10 or not x.any():
        points, method = _principal_components(x), "principal components"
    else:
        perplexity = min(30, (len(x) - 1) / 3)
        found = TSNE(perplexity=perplexity, init="pca", random_state=seed)
        # Its threads wait for one another at every step, and where another process
        # holds a core, several take five times as long as one.
        with threadpool_limits(1):
            points, method = found.fit_transform(_principal_components(x, 50)), "t-SNE"
    low, high = points.min(axis=0), points.max(axis=0)
    return 0.5 + (points - (low + high) / 2) / ((high - low).max() or 1), method


def _principal_components(x: Float[np.ndarray, "n d"], count: int = 2) -> np.ndarray:
    """The first principal components, or all columns where there are not so many."""
    _, directions = np.linalg.eigh(x.T @ x)
    points = x @ directions[:, ::-1][:, :count]
    return np.pad(points, ((0, 0), (0, max(0, 2 - points.shape[1]))))
