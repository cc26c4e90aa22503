"""What class weights say of items: cosines, dominant centers, outliers."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Integer

from jml._checks import check_class_weights, check_number
from jml._label_checks import check_class_labels, check_embeddings
from jml.distances import as_compute, inner_products, normalize


def logits(
    embeddings: Float[Array | np.ndarray, "b d"],
    weights: Float[Array | np.ndarray, "c *k d"],
) -> Float[Array, "b c"]:
    """The cosine of each embedding and the nearest center of each class.

    A classifier's choice is their `argmax`. This is the whole matrix: losses never make
    it.

    Args:
        embeddings: of items.
        weights: of classes, [C, D] or [C, K, D].

    Returns:
        The cosines, in float32 at least; 0 with a row of zeros.

    Raises:
        ValueError: for a wrong shape or dtype.

    Example:
        >>> weights = jnp.array([[1.0, 0.0], [0.0, 2.0]])
        >>> logits(jnp.array([[3.0, 4.0]]), weights)
        Array([[0.6, 0.8]], dtype=float32)
    """
    x = check_embeddings("logits", embeddings)
    weights = check_class_weights("logits", weights, x)
    centers = weights.reshape(len(weights) * _centers(weights), weights.shape[-1])
    x, centers = (normalize(as_compute(jnp.asarray(a))) for a in (x, centers))
    shape = len(x), len(weights), _centers(weights)
    return jnp.max(inner_products(x, centers).reshape(shape), axis=2)


def dominant_centers(
    embeddings: Float[Array | np.ndarray, "b d"],
    labels: Integer[Array | np.ndarray, " b"],
    weights: Float[Array | np.ndarray, "c k d"],
) -> Int[Array, " c"]:
    """The center of each class that most of its items are nearest to.

    Trained with sub-centers, a class gathers its clean items at one center and noisy
    ones at others. Training may go on with that center alone:
    ``weights[jnp.arange(len(weights)), dominant_centers(...)]``.

    Args:
        embeddings: of items, usually of the whole training set.
        labels: their classes.
        weights: [C, K, D].

    Returns:
        The number of a center for each class, the first of several that are equal; 0
        for a class without items.

    Raises:
        ValueError: for a wrong shape or dtype.

    Example:
        >>> weights = jnp.array([[[1.0, 0.0], [0.0, 1.0]]])
        >>> x = jnp.array([[1.0, 0.2], [0.1, 1.0], [0.2, 1.0]])
        >>> dominant_centers(x, jnp.array([0, 0, 0]), weights)
        Array([1], dtype=int32)

    References:
        Deng, Guo, Liu, Gong, Zafeiriou: Sub-center ArcFace: Boosting Face Recognition
        by Large-scale Noisy Web Faces, 2020,
        https://www.ecva.net/papers/eccv_2020/papers_ECCV/html/1445_ECCV_2020_paper.php
    """
    name = "dominant_centers"
    x, labels, weights = _checked(name, embeddings, labels, weights)
    return _dominant(_to_own(x, labels, weights), labels, weights)


def _checked(name: str, embeddings, labels, weights) -> tuple[Array, Array, Array]:
    x = check_embeddings(name, embeddings)
    labels = check_class_labels(name, labels, len(x))
    weights = check_class_weights(name, weights, x)
    if not len(weights):
        raise ValueError(f"{name}: `weights` must have a class, got none")
    labels = jnp.asarray(labels)
    labels = labels.astype(jnp.promote_types(labels.dtype, jnp.int32))  # holds places
    return jnp.asarray(x), labels, jnp.asarray(weights)


def _to_own(x: Array, labels: Array, weights: Array) -> Float[Array, "b k"]:
    """The cosines of each item to the centers of its class."""
    own = weights[jnp.clip(labels, 0, len(weights) - 1)]
    own = own.reshape(len(x), _centers(weights), weights.shape[-1])
    x = normalize(as_compute(x))
    unit = normalize(as_compute(own).reshape(-1, own.shape[-1] or 1)).reshape(own.shape)
    return jnp.einsum("bd,bkd->bk", x, unit, precision="highest")


def _centers(weights: Array | np.ndarray) -> int:
    return weights.shape[1] if weights.ndim == 3 else 1


def _dominant(cosines: Array, labels: Array, weights: Array) -> Int[Array, " c"]:
    nearest = jnp.argmax(cosines, axis=1)
    counts = jnp.zeros((len(weights), cosines.shape[1]), jnp.int32)
    place = jnp.where(labels < 0, len(weights), labels)
    return jnp.argmax(counts.at[place, nearest].add(1, mode="drop"), axis=1)


def class_outliers(
    embeddings: Float[Array | np.ndarray, "b d"],
    labels: Integer[Array | np.ndarray, " b"],
    weights: Float[Array | np.ndarray, "c *k d"],
    *,
    angle: float | Float[Array, ""] = 1.309,
) -> Bool[Array, " b"]:
    """Items that are far from the dominant center of their class: likely mislabelled.

    Args:
        embeddings: of items, usually of the whole training set.
        labels: their classes.
        weights: [C, K, D], or [C, D] with one center a class.
        angle: the angle beyond which an item is far, in radians; 75 degrees by default,
            as the authors have it.

    Returns:
        True for each outlier. An item whose class has no weights is none.

    Raises:
        ValueError: for a wrong shape or dtype.

    Example:
        >>> weights = jnp.array([[1.0, 0.0]])
        >>> x = jnp.array([[1.0, 0.2], [-0.5, 1.0]])
        >>> class_outliers(x, jnp.array([0, 0]), weights)
        Array([False,  True], dtype=bool)
    """
    name = "class_outliers"
    x, labels, weights = _checked(name, embeddings, labels, weights)
    angle = check_number(name, "angle", angle)
    cosines = _to_own(x, labels, weights)
    best = _dominant(cosines, labels, weights)
    known = (labels >= 0) & (labels < len(weights))
    chosen = best[jnp.where(known, labels, 0)]
    cosine = jnp.take_along_axis(cosines, chosen[:, None], axis=1)[:, 0]
    return known & (jnp.arccos(jnp.clip(cosine, -1, 1)) > angle)
