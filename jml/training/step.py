"""One training step as a pure function, and the state it turns over."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from jml.models import batch_norm_mask, embed, with_bfloat16_kernels

from .microbatch import embed_in_pieces
from .objective import Hyperparameters, Objective

Tree = Any  # nested dictionaries of arrays
Augment = Callable[[Array, Array], Array]  # (key, images) -> what the network sees


class TrainState(NamedTuple):
    """All that a step changes; ``params`` holds "model" and perhaps "proxies"."""

    params: dict[str, Tree]
    batch_stats: Tree
    opt_state: optax.OptState
    step: Array


def decay(hyper: Hyperparameters, step: Any) -> Any:
    """The factor of step decay, as PyTorch's StepLR: gamma for every interval.

    >>> decay(Hyperparameters(lr=1.0, decay_gamma=0.5, decay_iter_step=10), 20)
    0.25
    """
    return hyper.decay_gamma ** (step // hyper.decay_iter_step)


def make_optimizer(
    params: dict[str, Tree], *, freeze_bn: bool, freeze_proxies: bool
) -> optax.GradientTransformation:
    """Adam's direction, without the learning rate, and zero for what is frozen."""
    frozen = {
        name: jax.tree.map(lambda _: False, tree) for name, tree in params.items()
    }
    if freeze_bn:
        frozen["model"] = batch_norm_mask(params["model"])
    if "proxies" in params:
        frozen["proxies"] = freeze_proxies
    return optax.partition(
        {False: optax.scale_by_adam(), True: optax.set_to_zero()}, frozen
    )


def init_state(
    params: dict[str, Tree], batch_stats: Tree, optimizer: optax.GradientTransformation
) -> TrainState:
    """The state before the first step. The step donates it: copy what must survive."""
    return TrainState(params, batch_stats, optimizer.init(params), jnp.zeros((), int))


def make_step(
    graphdef: Any,
    objective: Objective,
    optimizer: optax.GradientTransformation,
    *,
    augment: Augment,
    freeze_bn: bool = False,
    microbatch: int | None = None,
    bfloat16: bool = False,
) -> Callable[..., tuple[TrainState, Array]]:
    """Compiles ``step(state, hyper, key, images, labels) -> (state, loss)``.

    The state is donated. The key is the run's, the same at every step: what is drawn
    from it depends on ``state.step`` too.

    Args:
        graphdef: the network, from ``jml.models.create``.
        objective: the loss, from ``make_objective``.
        optimizer: from ``make_optimizer``.
        augment: makes the network's input from a batch, on the device.
        freeze_bn: normalise with the running statistics and leave them alone.
        microbatch: images whose activations exist at once, a divisor of the batch; by
            default all. The loss is the whole batch's all the same.
        bfloat16: compute convolutions in bfloat16. Parameters, statistics, embeddings
            and the loss stay in float32.
    """

    def embed_images(model: Tree, batch_stats: Tree, images: Array):
        model = with_bfloat16_kernels(model) if bfloat16 else model
        return embed(graphdef, model, batch_stats, images, train=not freeze_bn)

    @partial(jax.jit, donate_argnums=0)
    def step(
        state: TrainState,
        hyper: Hyperparameters,
        key: Array,
        images: Array,
        labels: Array,
    ) -> tuple[TrainState, Array]:
        views = augment(jax.random.fold_in(key, state.step), images)

        def loss_of(params: dict[str, Tree]) -> tuple[Array, Tree]:
            embeddings, batch_stats = embed_in_pieces(
                embed_images,
                params["model"],
                state.batch_stats,
                views,
                size=microbatch or len(views),
            )
            proxies = params.get("proxies")
            return objective(embeddings, labels, proxies, hyper), batch_stats

        (loss, batch_stats), gradients = jax.value_and_grad(loss_of, has_aux=True)(
            state.params
        )
        updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
        factor = decay(hyper, state.step)
        rates = {"model": hyper.lr * factor, "proxies": hyper.proxies_lr * factor}
        params = {
            name: jax.tree.map(
                lambda p, u, r=rates[name]: p - r * u, tree, updates[name]
            )
            for name, tree in state.params.items()
        }
        return TrainState(params, batch_stats, opt_state, state.step + 1), loss

    return step
