"""Batches whose activations do not fit into memory: embedded in pieces.

The loss needs the embeddings of the whole batch, but not its activations. So the
forward pass keeps only the embeddings of each piece. The backward pass first computes
the gradient of all embeddings. Then it computes the activations of one piece after the
other again, and derives them (Gao et al., "Scaling Deep Contrastive Learning Batch Size
under Memory Limited Setup", 2021, arXiv 2101.06983). The gradient is exact.
"""

from collections.abc import Callable

import jax
from jax.sharding import Mesh
from jaxtyping import Array, Float, PyTree

from jml._value_checks import check_fields, check_functions, check_integer

from ._devices import batch_sharding

Embed = Callable[[PyTree, PyTree, Array], tuple[Array, PyTree]]


def embed_in_pieces(
    embed: Embed,
    params: PyTree,
    batch_stats: PyTree,
    images: Array,
    *,
    size: int,
    mesh: Mesh | None = None,
) -> tuple[Float[Array, "b d"], PyTree]:
    """Embeds a batch `size` images at a time, and keeps the activations of one piece.

    Values and gradients equal those of the whole batch if the network embeds each image
    by itself. A BatchNorm in training normalises over one piece, and updates its
    running statistics once for each piece, as it does in PyTorch.

    Args:
        embed: ``(params, batch_stats, images) -> (embeddings, batch_stats)``.
        params: parameters of the network.
        batch_stats: running statistics of the network.
        images: the batch, ``[b, ...]``.
        size: images in a piece, a divisor of b (static).
        mesh: the devices that share each piece, from `data_mesh`.

    Raises:
        ValueError: `size` does not divide the batch.
    """
    check_functions("embed_in_pieces", embed=embed)
    check_fields("embed_in_pieces", "images", images, "shape reshape", "an array")
    check_integer("embed_in_pieces", "size", size, least=None)
    if size == len(images):
        return embed(params, batch_stats, images)
    if size < 1 or len(images) % size:
        raise ValueError(
            f"embed_in_pieces: `size` must divide the {len(images)} images, got {size}"
        )

    @jax.checkpoint
    def embed_piece(params: PyTree, batch_stats: PyTree, piece: Array):
        embeddings, batch_stats = embed(params, batch_stats, piece)
        return batch_stats, embeddings

    pieces = images.reshape(-1, size, *images.shape[1:])
    if mesh is not None:  # otherwise each piece lies on one device, and all copy it
        pieces = jax.lax.with_sharding_constraint(pieces, batch_sharding(mesh, axis=1))
    batch_stats, embeddings = jax.lax.scan(
        lambda batch_stats, piece: embed_piece(params, batch_stats, piece),
        batch_stats,
        pieces,
    )
    return embeddings.reshape(len(images), -1), batch_stats
