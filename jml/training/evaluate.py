"""Retrieval on the test classes, with a network and without one."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float

from jml.data import Dataset, Images, Split
from jml.errors import UserError
from jml.evaluation import recall_at_k
from jml.models import embed

from .prefetch import AHEAD, prefetch

Recalls = dict[int, float]  # from k to the Recall@k, a fraction
KS = (1, 2, 4, 8)
PIXEL_WORK = 1e12  # multiplications that comparing raw pixels may take: a minute


def make_embed(
    graphdef: Any, prepare: Callable[[Array], Array]
) -> Callable[..., Float[np.ndarray, "n d"]]:
    """Returns ``embed_all(params, batch_stats, images, batch_size) -> embeddings``.

    The last batch is padded, so that one compiled function serves all.
    """

    @jax.jit
    def embed_batch(params: Any, batch_stats: Any, images: Array) -> Array:
        return embed(graphdef, params, batch_stats, prepare(images), train=False)[0]

    def embed_all(
        params: Any,
        batch_stats: Any,
        images: Images,
        batch_size: int,
    ) -> Float[np.ndarray, "n d"]:
        batches: list[Array | np.ndarray] = []
        batch_size = min(batch_size, len(images))
        starts = range(0, len(images), batch_size)
        for part in prefetch(lambda at: images[at : at + batch_size], starts):
            padding = [(0, batch_size - len(part)), (0, 0), (0, 0), (0, 0)]
            padded = np.pad(part, padding)
            batches.append(embed_batch(params, batch_stats, padded)[: len(part)])
            if len(batches) > AHEAD:  # waits, so that few batches are on the device
                batches[-1 - AHEAD] = np.asarray(batches[-1 - AHEAD])
        return np.concatenate(batches)

    return embed_all


def make_evaluate(
    graphdef: Any,
    dataset: Dataset,
    *,
    batch_size: int,
    prepare: Callable[[Array], Array],
) -> Callable[[Any, Any], Recalls]:
    """Returns ``evaluate(params, batch_stats) -> {k: Recall@k}`` on the test classes.

    It raises a UserError where the network gives no finite embeddings.
    """
    embed_all = partial(make_embed(graphdef, prepare), batch_size=batch_size)

    def evaluate(params: Any, batch_stats: Any) -> Recalls:
        def embeddings_of(split: Split) -> Float[np.ndarray, "n d"]:
            embeddings = embed_all(params, batch_stats, split.images)
            if not np.isfinite(embeddings).all():
                raise UserError(
                    "--lr: the network gives embeddings that are not finite; try a"
                    " lower rate, and check that --weights holds a working network."
                )
            return embeddings

        return _recalls(embeddings_of, dataset)

    return evaluate


def pixel_recalls(dataset: Dataset, *, crop: int) -> Recalls | None:
    """Recalls of the pixels themselves, the bar a network has to clear.

    None where it would take too long. Grey images count one channel: the order of the
    distances is the same.
    """
    searched = dataset.query if dataset.gallery is None else dataset.gallery
    work = len(dataset.query.labels) * np.prod(searched.images.shape, dtype=float)
    if work > PIXEL_WORK:
        return None

    def pixels_of(split: Split) -> Float[np.ndarray, "n d"]:
        start = round((split.images.shape[1] - crop) / 2)
        pixels = split.images[:][:, start : start + crop, start : start + crop]
        if dataset.gallery is None and (pixels == pixels[..., :1]).all():
            pixels = pixels[..., :1]
        return pixels.reshape(len(pixels), -1).astype(np.float32) / 255

    return _recalls(pixels_of, dataset)


def _recalls(
    embeddings_of: Callable[[Split], Float[np.ndarray, "n d"]], dataset: Dataset
) -> Recalls:
    query, gallery = dataset.query, dataset.gallery
    searched = () if gallery is None else (embeddings_of(gallery), gallery.labels)
    # A tiny test set has no eighth neighbour.
    neighbours = len(query.labels) - 1 if gallery is None else len(gallery.labels)
    ks = [k for k in KS if k <= neighbours]
    return recall_at_k(embeddings_of(query), query.labels, *searched, ks=ks)
