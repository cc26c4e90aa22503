"""From images to the loss of a batch: what a training step differentiates."""

from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import Mesh
from jaxtyping import Array

from jml.models import embed, with_bfloat16_kernels

from ._microbatch import embed_in_pieces
from ._step import LossOf

Tree = Any  # nested dictionaries of arrays
# (embeddings, labels, proxies or None, hyper) -> loss, and -> scalars by name
Objective = Callable[[Array, Array, Array | None, Any], Array]
Diagnostics = Callable[[Array, Array, Array | None, Any], dict[str, Array]]
Augment = Callable[[Array, Array], Array]  # (key, images) -> what the network sees


def make_loss(
    graphdef: Any,
    objective: Objective,
    *,
    augment: Augment,
    groups: Tree,
    diagnostics: Diagnostics | None = None,
    freeze_bn: bool = False,
    microbatch: int | None = None,
    bfloat16: bool = False,
    mesh: Mesh | None = None,
) -> LossOf:
    """Returns what ``make_step`` takes; a batch is images and labels.

    Args:
        graphdef: the network, from ``jml.models.create``.
        objective: the loss, ``(embeddings, labels, proxies, hyper)`` to a scalar.
            Proxies are ``params["proxies"]``, or None where there are none.
        augment: makes the network's input from a batch, on the device.
        groups: of the parameters, from ``label_groups``: no gradient is computed for
            those that are frozen.
        diagnostics: what else to log: of the same arguments, scalars by name.
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
        hyper: Any,
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
        arguments = embeddings, labels, params.get("proxies"), hyper
        measured = {} if diagnostics is None else diagnostics(*arguments)
        return objective(*arguments), (batch_stats, measured)

    return loss_of
