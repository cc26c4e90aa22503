"""Retrieval on the test classes, with a network and without one."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, UInt8

from jml.data import Split
from jml.errors import UserError
from jml.evaluation import recall_at_k
from jml.models import embed

Recalls = dict[int, float]  # from k to the Recall@k, a fraction
KS = (1, 2, 4, 8)
PIXEL_WORK = 1e12  # multiplications that comparing raw pixels may take: seconds


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
        images: UInt8[np.ndarray, "n h w 3"],
        batch_size: int,
    ) -> Float[np.ndarray, "n d"]:
        batches = []
        batch_size = min(batch_size, len(images))
        for start in range(0, len(images), batch_size):
            part = images[start : start + batch_size]
            padding = [(0, batch_size - len(part)), (0, 0), (0, 0), (0, 0)]
            padded = np.pad(part, padding)
            batches.append(embed_batch(params, batch_stats, padded)[: len(part)])
        return np.concatenate(batches)

    return embed_all


def make_evaluate(
    graphdef: Any, split: Split, *, batch_size: int, prepare: Callable[[Array], Array]
) -> Callable[[Any, Any], Recalls]:
    """Returns ``evaluate(params, batch_stats) -> {k: Recall@k}`` on ``split``.

    It raises a UserError where the network gives no finite embeddings.
    """
    embed_all = partial(make_embed(graphdef, prepare), images=split.images)

    def evaluate(params: Any, batch_stats: Any) -> Recalls:
        embeddings = embed_all(params, batch_stats, batch_size=batch_size)
        if not np.isfinite(embeddings).all():
            raise UserError(
                "--lr: the network gives embeddings that are not finite; try a lower"
                " rate, and check that --weights holds a working network."
            )
        return _recalls(embeddings, split)

    return evaluate


def pixel_recalls(split: Split, *, crop: int) -> Recalls | None:
    """Recalls of the pixels themselves, the bar a network has to clear.

    None where it would take too long. Gray images count one channel: the order of
    the distances is the same.
    """
    start = round((split.images.shape[1] - crop) / 2)
    pixels = split.images[:, start : start + crop, start : start + crop]
    if (pixels == pixels[..., :1]).all():
        pixels = pixels[..., :1]
    if len(pixels) ** 2 * pixels[0].size > PIXEL_WORK:
        return None
    return _recalls(pixels.reshape(len(pixels), -1).astype(np.float32) / 255, split)


def _recalls(embeddings: Float[np.ndarray, "n d"], split: Split) -> Recalls:
    # A tiny test set has no eighth neighbour.
    ks = [k for k in KS if k < len(embeddings)]
    return recall_at_k(embeddings, split.labels, ks=ks)
