"""From images to the loss of a batch: what a training step differentiates."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
from jax.sharding import Mesh
from jaxtyping import Array, Float, PyTree

from jml._value_checks import check_functions, check_integer, check_type
from jml.losses import Lengths, Memory
from jml.models import embed, with_bfloat16_kernels

from ._devices import check_mesh
from ._microbatch import embed_in_pieces
from ._step import LossOf

# Sets the randomness of the objective apart from that of the augmentation.
OBJECTIVE = 2**31 - 1

Augment = Callable[[Array, Array], Array]  # (key, images) -> what the network sees
# Both take (embeddings, labels, proxies or None, hyper), and by keyword what is there:
# learned=, key=, and the first memory=.
BatchLoss = Callable[..., Array]
BatchDiagnostics = Callable[..., dict[str, Float[Array, ""]]]


def make_loss(
    graphdef: Any,
    objective: BatchLoss,
    *,
    augment: Augment,
    groups: Mapping[str, PyTree],
    diagnostics: BatchDiagnostics | None = None,
    freeze_bn: bool = False,
    microbatch: int | None = None,
    bfloat16: bool = False,
    random: bool = False,
    mesh: Mesh | None = None,
) -> LossOf:
    """Returns the ``loss_of`` that `make_step` takes, for a network of ``jml.models``.

    Its parameters are a dictionary: "model" has the network's. "proxies", if it is
    there, has the proxies of the loss, and "loss" numbers of its own, by name. Its
    batch is a pair of images ``[b, h, w, 3]`` and integer labels ``[b]``.

    Args:
        graphdef: structure of the network, from ``jml.models.create``.
        objective: the loss, ``(embeddings, labels, parameters, hyper) -> loss``; the
            parameters are its proxies, or None. It gets ``learned=``, the parameters
            "loss", and ``memory=``, that of the state, where they are there.
        augment: ``(key, images) -> views``, the network's input. It runs on the device.
        groups: the group of each parameter, from `label_groups`. No gradient is
            computed for those in "frozen".
        diagnostics: takes what `objective` takes, the memory apart, and returns
            scalars to log, by name.
        freeze_bn: normalise with BatchNorm's running statistics, and keep them.
        microbatch: how many images have their activations in memory at once, a divisor
            of the batch; by default all. The loss remains that of the whole batch.
        bfloat16: compute convolutions in bfloat16. Parameters, statistics, embeddings
            and the loss stay in float32.
        random: pass ``key=`` to `objective` and `diagnostics`, another in each step.
        mesh: the devices that share each batch, from `data_mesh`.

    Raises:
        ValueError: an argument is of the wrong kind; and by the returned function, if
            `microbatch` does not divide the batch.
    """
    check_functions("make_loss", objective=objective, augment=augment)
    check_functions("make_loss", optional=True, diagnostics=diagnostics)
    check_type("make_loss", "groups", groups, Mapping, "from `label_groups`")
    if microbatch is not None:
        check_integer("make_loss", "microbatch", microbatch)  # 0: all at once
    if mesh is not None:
        check_mesh("make_loss", mesh)

    def embed_images(model: PyTree, batch_stats: PyTree, images: Array):
        model = with_bfloat16_kernels(model) if bfloat16 else model
        return embed(graphdef, model, batch_stats, images, train=not freeze_bn)

    def loss_of(
        params: dict[str, PyTree],
        batch_stats: PyTree,
        batch: tuple[Array, Array],
        key: Array,
        hyper: Any,
        memory: Memory | Lengths | None = None,
    ) -> tuple[Array, tuple[Any, ...]]:
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
        more = {"learned": params["loss"]} if "loss" in params else {}
        if random:
            more["key"] = jax.random.fold_in(key, OBJECTIVE)
        measured = {} if diagnostics is None else diagnostics(*arguments, **more)
        if memory is None:
            return objective(*arguments, **more), (batch_stats, measured)
        loss = objective(*arguments, **more, memory=memory)
        return loss, (batch_stats, measured, (embeddings, labels))

    return loss_of
