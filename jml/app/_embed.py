"""Embeddings of the test images, by a network or as raw pixels, and their Recall@K."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from jax.sharding import Mesh
from jaxtyping import Float, Int

from jml.app._config import Config
from jml.data import Dataset, Images, Listing, Split, center_crop_normalize
from jml.errors import UserError
from jml.evaluation import count_relevant, recall_at_k
from jml.inference import Embedder

EmbedAll = Callable[[Any, Any, Images, int], Float[np.ndarray, "n d"]]
Recalls = dict[int, float]  # from k to the Recall@k, a fraction
PIXEL_WORK = 1e12  # multiplications to spend on comparing raw pixels: a minute


class ItemFacts(NamedTuple):
    """What evaluation needs of images beside their embeddings, as `Split` has it."""

    labels: Int[np.ndarray, " n"]
    ids: Int[np.ndarray, " n"] | None
    groups: Int[np.ndarray, " n"] | None


def tested_facts(listing: Listing) -> tuple[ItemFacts, ItemFacts | None]:
    """What evaluation needs of listed queries and of their gallery, if there is one."""
    ids, groups = listing.ids, listing.groups

    def facts_of(rows: Int[np.ndarray, " n"]) -> ItemFacts:
        return ItemFacts(
            listing.labels[rows],
            None if ids is None else ids[rows],
            None if groups is None else groups[rows],
        )

    gallery = listing.gallery
    return facts_of(listing.query), None if gallery is None else facts_of(gallery)


class Embedded(NamedTuple):
    """The embeddings of a data set's test images; it may have no gallery."""

    query: Float[np.ndarray, "n d"]
    gallery: Float[np.ndarray, "m d"] | None


def make_embedder(graphdef: Any, config: Config, mesh: Mesh | None = None) -> Embedder:
    """Returns what embeds images in the precision of a run's training."""
    return Embedder(
        graphdef,
        partial(center_crop_normalize, crop=config.image_size),
        mesh,
        bfloat16=config.precision == "bfloat16",
    )


def make_embed_test(
    embed_all: EmbedAll, dataset: Dataset, batch_size: int
) -> Callable[[Any, Any], Embedded]:
    """Returns ``embed_test(params, batch_stats)`` for the test images of a data set.

    It raises a UserError if an embedding is not finite.
    """

    def embed_test(params: Any, batch_stats: Any) -> Embedded:
        def embeddings_of(split: Split) -> Float[np.ndarray, "n d"]:
            embeddings = embed_all(params, batch_stats, split.images, batch_size)
            if not np.isfinite(embeddings).all():
                raise UserError(
                    "the network gives embeddings that are not finite; train with a"
                    " lower --lr, and check that --weights holds a working network."
                )
            return embeddings

        return _of_test(embeddings_of, dataset)

    return embed_test


def embed_pixels(dataset: Dataset, *, crop: int) -> Embedded | None:
    """Returns the pixels as embeddings: what a network has to do better than.

    None if comparing them would take too long. Of grey images one channel is used: the
    order of the distances is the same.
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

    return _of_test(pixels_of, dataset)


def recalls(embedded: Embedded, dataset: Dataset) -> Recalls:
    """Returns the Recall@1, 2, 4 and 8 of the test images.

    A K is left out if the images have fewer neighbours.
    """
    gallery = dataset.gallery
    return recall_at_k(
        embedded.query,
        dataset.query.labels,
        embedded.gallery,
        None if gallery is None else gallery.labels,
        **ids_and_groups(dataset.query, gallery),
    )


def recalls_of(metrics: Mapping[str, Any]) -> Recalls:
    """Returns the Recall@K among metrics by their names."""
    return {
        int(name.removeprefix("recall@")): value
        for name, value in metrics.items()
        if name.startswith("recall@")
    }


def ids_and_groups(
    query: ItemFacts | Split, gallery: ItemFacts | Split | None
) -> dict[str, Any]:
    """Returns the arguments of `evaluate` that leave images out of a ranking."""
    arguments: dict[str, Any] = {"ids": query.ids, "groups": query.groups}
    if gallery is not None:
        arguments |= {"gallery_ids": gallery.ids, "gallery_groups": gallery.groups}
    return arguments


def check_findable(
    name: str, query: ItemFacts | Split, gallery: ItemFacts | Split | None
) -> None:
    """Raises a UserError if no query has an image of its class to find."""
    searched = None if gallery is None else gallery.labels
    if not count_relevant(
        query.labels, searched, **ids_and_groups(query, gallery)
    ).any():
        raise UserError(
            f"--dataroot: no query of {name} has another image of its class to find, as"
            " a copy of it or one of its group does not count; add images."
        )


def _of_test(
    embeddings_of: Callable[[Split], Float[np.ndarray, "n d"]], dataset: Dataset
) -> Embedded:
    gallery = dataset.gallery
    return Embedded(
        embeddings_of(dataset.query),
        None if gallery is None else embeddings_of(gallery),
    )
