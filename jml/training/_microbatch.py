"""Batches whose activations do not fit: embedded piece by piece, exactly derived.

The loss needs all embeddings of a batch but no activations, so only the embeddings of
a piece are kept; the backward pass computes a piece's activations anew, when the
gradient of its embeddings is there (Gao et al., "Scaling Deep Contrastive Learning
Batch Size under Memory Limited Setup", 2021, arXiv 2101.06983).
"""

from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import Mesh
from jaxtyping import Array, Float

from ._devices import split

Tree = Any  # nested dictionaries of arrays
Embed = Callable[[Tree, Tree, Array], tuple[Array, Tree]]


def embed_in_pieces(
    embed: Embed,
    params: Tree,
    batch_stats: Tree,
    images: Array,
    *,
    size: int,
    mesh: Mesh | None = None,
) -> tuple[Float[Array, "b d"], Tree]:
    """Embeds `size` images at a time, with memory for the activations of so many.

    Values and gradients are those of the whole batch where every image is embedded on
    its own. A BatchNorm in training sees each piece by itself, and moves its running
    statistics once for each, as in PyTorch.

    Args:
        embed: ``(params, batch_stats, images) -> (embeddings, batch_stats)``.
        params: of the network.
        batch_stats: its running statistics.
        images: a whole number of pieces.
        size: images in a piece (static).
        mesh: the devices that share each piece.

    Raises:
        ValueError: the pieces do not fill the batch.
    """
    if size == len(images):
        return embed(params, batch_stats, images)
    if size < 1 or len(images) % size:
        raise ValueError(
            f"embed_in_pieces: `size` must divide the {len(images)} images, got {size}"
        )

    @jax.checkpoint
    def embed_piece(params: Tree, batch_stats: Tree, piece: Array):
        embeddings, batch_stats = embed(params, batch_stats, piece)
        return batch_stats, embeddings

    pieces = images.reshape(-1, size, *images.shape[1:])
    if mesh is not None:  # a piece is otherwise on one device, which all then copy
        pieces = jax.lax.with_sharding_constraint(pieces, split(mesh, axis=1))
    batch_stats, embeddings = jax.lax.scan(
        lambda batch_stats, piece: embed_piece(params, batch_stats, piece),
        batch_stats,
        pieces,
    )
    return embeddings.reshape(len(images), -1), batch_stats
