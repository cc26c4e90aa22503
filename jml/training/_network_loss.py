"""From images to the loss of a batch: what a training step differentiates."""

from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import Mesh
from jaxtyping import Array

from jml.app._objective import Hyperparameters, Objective
from jml.app._signs import Signs
from jml.models import embed, with_bfloat16_kernels

from ._microbatch import embed_in_pieces
from ._step import LossOf

Tree = Any  # nested dictionaries of arrays
Augment = Callable[[Array, Array], Array]  # (key, images) -> what the network sees


def make_loss(
    graphdef: Any,
    objective: Objective,
    *,
    augment: Augment,
    groups: Tree,
    signs: Signs | None = None,
    freeze_bn: bool = False,
    microbatch: int | None = None,
    bfloat16: bool = False,
    mesh: Mesh | None = None,
) -> LossOf:
    """Returns what ``make_step`` takes; a batch is images and labels.

    Args:
        graphdef: the network, from ``jml.models.create``.
        objective: the loss, from ``make_objective``.
        augment: makes the network's input from a batch, on the device.
        groups: of the parameters, from ``label_groups``: no gradient is computed for
            those that are frozen.
        signs: what else to log, from ``make_signs``.
        freeze_bn: normalise with the running statistics and leave them alone.
        microbatch: images whose activations exist at once, a divisor of the batch; by
            default all. The loss is the whole batch's all the same.
        bfloat16: compute convolutions in bfloat16. Parameters, statistics, embeddings
            and the loss stay in float32.
        mesh: the devices that share each batch.
    """

    def embed_images(model: Tree, batch_stats: Tree, images: Array):
        model = with_bfloat16_kernels(model) if bfloat16 else model
        return embed(graphdef, model, batch_stats, images, train=not freeze_bn)

    def loss_of(
        params: dict[str, Tree],
        batch_stats: Tree,
        batch: tuple[Array, Array],
        key: Array,
        hyper: Hyperparameters,
    ) -> tuple[Array, tuple[Tree, dict[str, Array]]]:
        params = jax.tree.map(
            lambda group, p: jax.lax.stop_gradient(p) if group == "frozen" else p,
            groups,
            params,
        )
        images, labels = batch
        views = augment(key, images)
        embeddings, batch_stats = embed_in_pieces(
            embed_images,
            params["model"],
            batch_stats,
            views,
            size=microbatch or len(views),
            mesh=mesh,
        )
        given = embeddings, labels, params.get("proxies"), hyper
        found = {} if signs is None else signs(*given)
        return objective(*given), (batch_stats, found)

    return loss_of
