"""One training step as a pure function, and the state it turns over."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Int

from ._devices import replicated

Tree = Any  # nested dictionaries of arrays
# (params, batch_stats, batch, key, hyper) -> (loss, (batch_stats, diagnostics))
LossOf = Callable[[Tree, Tree, Any, Array, Any], tuple[Array, tuple[Tree, Tree]]]


class TrainState(NamedTuple):
    """All that a step changes."""

    params: Tree
    batch_stats: Tree  # running statistics, or whatever else a forward pass moves
    opt_state: optax.OptState
    average: tuple[Tree, Tree] | None  # moving averages of the first two
    step: Int[Array, ""]  # the next one, from 0
    skipped: Int[Array, ""]  # steps whose loss or gradient was not finite
    halted: Bool[Array, ""]  # such a step came: nothing changes any more

    @property
    def evaluated(self) -> tuple[Tree, Tree]:
        """The parameters and statistics to evaluate: averaged ones where there are."""
        return self.average or (self.params, self.batch_stats)


def init_state(
    params: Tree,
    batch_stats: Tree,
    optimizer: optax.GradientTransformation,
    *,
    average: bool = False,
) -> TrainState:
    """The state before the first step. The step donates it: copy what must survive.

    Args:
        params: what is trained.
        batch_stats: what a forward pass changes; {} if nothing.
        optimizer: of optax.
        average: keep an exponential moving average of both, too; steps then take its
            decay as ``hyper.ema``.
    """
    return TrainState(
        params,
        batch_stats,
        optimizer.init(params),
        jax.tree.map(jnp.copy, (params, batch_stats)) if average else None,
        step=jnp.zeros((), jnp.int32),
        skipped=jnp.zeros((), jnp.int32),
        halted=jnp.zeros((), bool),
    )


def make_step(
    loss_of: LossOf,
    optimizer: optax.GradientTransformation,
    *,
    skip_nan: bool = False,
    mesh: Mesh | None = None,
) -> Callable[..., tuple[TrainState, dict[str, Array]]]:
    """Compiles ``step(state, batch, key, hyper) -> (state, measured)``.

    The state is donated. The key is the run's, the same at every step: `loss_of` gets
    one that depends on ``state.step`` too. A step whose loss or gradient is not finite
    changes nothing, and by default nothing changes after it.

    Args:
        loss_of: ``(params, batch_stats, batch, key, hyper)`` to
            ``(loss, (batch_stats, diagnostics))``; diagnostics are scalars to log.
        optimizer: of optax; ``hyper`` and ``step`` reach those that take them.
        skip_nan: pass over a step that is not finite, count it, and go on.
        mesh: the devices that share each batch, from ``jml.training._devices``.

    Returns:
        The step; ``measured`` has "loss", "grad_norm", "finite", "halted" and the
        diagnostics.
    """
    optimizer = optax.with_extra_args_support(optimizer)
    shardings = {} if mesh is None else {"out_shardings": replicated(mesh)}

    @partial(jax.jit, donate_argnums=0, **shardings)
    def step(
        state: TrainState, batch: Any, key: Array, hyper: Any = None
    ) -> tuple[TrainState, dict[str, Array]]:
        (loss, (batch_stats, diagnostics)), gradients = jax.value_and_grad(
            loss_of, has_aux=True
        )(
            state.params,
            state.batch_stats,
            batch,
            jax.random.fold_in(key, state.step),
            hyper,
        )
        grad_norm = optax.tree.norm(gradients)
        finite = jnp.isfinite(loss + grad_norm)

        def update(gradients: Tree) -> TrainState:
            updates, opt_state = optimizer.update(
                gradients, state.opt_state, state.params, hyper=hyper, step=state.step
            )
            params = optax.apply_updates(state.params, updates)
            average = state.average
            if average is not None:
                # Short at first, as there is nothing to remember yet.
                decay = jnp.minimum(hyper.ema, (1 + state.step) / (10 + state.step))
                average = optax.incremental_update(
                    (params, batch_stats), average, 1 - decay
                )
            counts = state.step + 1, state.skipped, state.halted
            return TrainState(params, batch_stats, opt_state, average, *counts)

        def pass_over(gradients: Tree) -> TrainState:
            if skip_nan:
                return state._replace(step=state.step + 1, skipped=state.skipped + 1)
            return state._replace(halted=jnp.ones((), bool))

        # The barrier keeps XLA from computing gradients once for the norm and again
        # for the update.
        gradients = jax.lax.optimization_barrier(gradients)
        moves = finite & ~state.halted
        new = jax.lax.cond(moves, update, pass_over, gradients)
        measured = {"loss": loss, "grad_norm": grad_norm, "finite": finite}
        return new, {**measured, "halted": new.halted, **diagnostics}

    return step
