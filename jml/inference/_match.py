"""Which class an image is of, or none: the nearest item, if it is near enough."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int

from jml._blocks_of_rows import rows_not_finite
from jml._checks import check_number
from jml._value_checks import described
from jml.errors import UserError
from jml.evaluation import nearest_neighbours

from ._calibration_file import read_calibration
from ._embeddings import Embeddings


class Matches(NamedTuple):
    """The answer for each query, and the gallery's item that gave it."""

    labels: list[Any]  # of the nearest item; None where it is too far: of no class
    rows: Int[np.ndarray, " q"]  # of the nearest item in the gallery
    distances: Float64[np.ndarray, " q"]  # to it
    probabilities: Float64[np.ndarray, " q"]  # that both are of one class


class Gallery(NamedTuple):
    """Vectors of known labels."""

    vectors: Float[np.ndarray, "m d"]
    labels: Sequence[Any]
    rows: Int[np.ndarray, " m"]  # in what the user passed


def checked_gallery(gallery: Any, dim: int, digest: str) -> Gallery:
    """The gallery of `match`, if it can be compared with a model's embeddings.

    Args:
        gallery: what the user passed.
        dim: length of the model's embeddings.
        digest: of the model's weights.

    Raises:
        UserError: another model made it, it has no labels, or vectors with NaN.
        ValueError: it is no gallery.
    """
    if isinstance(gallery, Embeddings):
        check_made_by("gallery", gallery, digest)
        vectors, labels = gallery.vectors, gallery.labels
        if labels is None:
            labels = [None] * len(vectors)
    elif isinstance(gallery, tuple | list) and len(gallery) == 2:
        vectors, labels = gallery
    else:
        raise ValueError(
            "match: `gallery` must be Embeddings, or vectors and their labels, got"
            f" {described(gallery)}"
        )
    vectors = checked_vectors("gallery", vectors, dim)
    if not isinstance(labels, Iterable):
        raise ValueError(
            f"match: `gallery` must have labels, a sequence, got {described(labels)}"
        )
    labels = labels.tolist() if isinstance(labels, np.ndarray) else list(labels)
    if len(labels) != len(vectors):
        raise ValueError(
            f"match: `gallery` must have a label for each of {len(vectors)} vectors,"
            f" got {len(labels)}"
        )
    rows = np.array([i for i, label in enumerate(labels) if label is not None], int)
    if not len(rows):
        raise UserError(
            "`gallery`: no item has a label; pass embeddings with labels, such as those"
            " of a folder with a folder for each class."
        )
    if len(rows) < len(vectors):
        vectors, labels = vectors[rows], [labels[row] for row in rows.tolist()]
    return Gallery(vectors, labels, rows)


def check_made_by(argument: str, embeddings: Embeddings, digest: str) -> None:
    """Raises a UserError if another model made the embeddings."""
    other = embeddings.model.get("digest")
    if other != digest:
        raise UserError(
            f"`{argument}`: it is of another model, with the digest {str(other)[:12]}"
            f" and not {digest[:12]}; embed its images with this model."
        )


def is_vectors(value: Any) -> bool:
    """Whether these are vectors, and no images."""
    return getattr(value, "ndim", 0) == 2 and value.dtype.kind == "f"


def checked_vectors(argument: str, vectors: Any, dim: int) -> Float[np.ndarray, "n d"]:
    """Vectors as an array, of as many numbers as the model's, all of them finite."""
    if not hasattr(vectors, "__array__"):
        raise ValueError(
            f"match: `{argument}` must hold floating [n, {dim}], got"
            f" {described(vectors)}"
        )
    vectors = np.asarray(vectors)
    if vectors.dtype.kind != "f" or vectors.shape[1:] != (dim,):
        raise ValueError(
            f"match: `{argument}` must hold floating [n, {dim}], as this model's"
            f" embeddings are, got {vectors.dtype} {vectors.shape}"
        )
    broken = rows_not_finite(vectors)
    if len(broken):
        raise UserError(
            f"`{argument}`: {len(broken):,} of {len(vectors):,} vectors hold NaN or"
            f" infinity, the first of them row {broken[0]}; embed these images again."
        )
    return vectors


def match_items(
    model: Mapping[str, Any],
    folder: Path,
    embed: Callable[[Any], Float[np.ndarray, "q d"]],
    query: Any,
    gallery: Any,
    far: float,
) -> Matches:
    """Answers for `TrainedModel.match`.

    Args:
        model: what is known of the network.
        folder: where its calibration is.
        embed: embeds images.
        query: of the user: images, or vectors.
        gallery: of the user.
        far: false acceptance rate.
    """
    digest, dim, metric = model["digest"], model["embedding_dim"], model["metric"]
    known = checked_gallery(gallery, dim, digest)
    check_number("match", "far", far)
    try:
        calibration = read_calibration(folder, metric=metric, digest=digest)
    except UserError as error:
        raise UserError(f"{error}{' --best' if model['best'] else ''}") from None
    threshold = calibration.threshold(far)
    if isinstance(query, Embeddings):
        check_made_by("query", query, digest)
        query = query.vectors
    vectors = checked_vectors(
        "query", query if is_vectors(query) else embed(query), dim
    )
    if not len(vectors):
        nothing = np.empty(0)
        return Matches([], np.empty(0, int), nothing, nothing)
    found = nearest_neighbours(vectors, known.vectors, k=1, metric=metric)
    nearest, distances = found.indices[:, 0], found.distances[:, 0]
    labels = [
        known.labels[row] if near else None
        for row, near in zip(nearest.tolist(), distances <= threshold, strict=True)
    ]
    probabilities = calibration.probability(distances)
    return Matches(labels, known.rows[nearest], distances, probabilities)
