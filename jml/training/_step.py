"""One training step, top to bottom: loss, gradient, update, moving average.

`make_step` returns the step as a compiled function of a `TrainState`. What the step
differentiates is the caller's ``loss_of``: for a network of ``jml.models`` it is made
by `make_loss` (in ``_network_loss``). How gradients become updates is the optimizer's:
one of optax, or of `make_optimizer` (in ``_optimizers``).
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Int, PyTree

from jml._value_checks import check_fields, check_functions
from jml.losses import Lengths, Memory, update_lengths, update_memory

from ._devices import whole_on
from ._opt_state import first_opt_state

# (params, batch_stats, batch, key, hyper) -> (loss, (batch_stats, diagnostics)); with a
# memory one more argument, and behind the diagnostics (embeddings, labels).
LossOf = Callable[..., tuple[Array, tuple[Any, ...]]]
OPTIMIZER = "an optimizer of optax, such as optax.adam(1e-3)"


class TrainState(NamedTuple):
    """Everything that a step changes. Steps are counted from 0."""

    params: PyTree
    batch_stats: PyTree  # running statistics, or whatever a forward pass changes
    opt_state: optax.OptState
    average: tuple[PyTree, PyTree] | None  # moving averages of the first two
    step: Int[Array, ""]  # the number of the next step
    skipped: Int[Array, ""]  # how many steps had a loss or gradient that is not finite
    halted: Bool[Array, ""]  # after such a step, if it was not skipped: nothing changes
    memory: Memory | Lengths | None = None  # of earlier batches, for the loss

    @property
    def to_evaluate(self) -> tuple[PyTree, PyTree]:
        """Parameters and statistics for evaluation: their averages, if there are."""
        return self.average or (self.params, self.batch_stats)


def init_state(
    params: PyTree,
    batch_stats: PyTree,
    optimizer: optax.GradientTransformation,
    *,
    average: bool = False,
    memory: Memory | Lengths | None = None,
) -> TrainState:
    """Returns the state before the first step.

    A step donates its state: copy arrays that are needed afterwards.

    Args:
        params: parameters to train, nested dictionaries of arrays.
        batch_stats: what a forward pass changes, such as BatchNorm's running
            statistics; {} if there is nothing.
        optimizer: an optimizer of optax, or of `make_optimizer`.
        average: keep exponential moving averages of both. Each step then takes their
            decay, at most 1, from ``hyper.ema``.
        memory: from ``jml.losses.init_memory`` or ``init_lengths``. Each step writes
            its batch to it; to the former only after ``hyper.memory_warmup`` steps.

    >>> state = init_state({"scale": jnp.ones(2)}, {}, optax.sgd(0.1))
    >>> int(state.step), state.average
    (0, None)
    """
    check_fields("init_state", "optimizer", optimizer, "init update", OPTIMIZER)
    return TrainState(
        params,
        batch_stats,
        first_opt_state(optimizer, params),
        jax.device_put((params, batch_stats), may_alias=False) if average else None,
        *jax.device_put((np.int32(0), np.int32(0), np.False_)),
        memory=memory,
    )


def make_step(
    loss_of: LossOf,
    optimizer: optax.GradientTransformation,
    *,
    skip_nan: bool = False,
    mesh: Mesh | None = None,
    shardings: PyTree = None,
) -> Callable[..., tuple[TrainState, dict[str, Array]]]:
    """Compiles ``step(state, batch, key, hyper=None) -> (state, measured)``.

    The state that is passed is donated. Pass the same key to every step: `loss_of` gets
    one that also depends on ``state.step``. A step whose loss or gradient is not finite
    changes no parameter, statistic or optimizer state, and is not remembered. By
    default it also halts the training: later steps change nothing either.

    Args:
        loss_of: a function ``(params, batch_stats, batch, key, hyper)`` that returns
            ``(loss, (batch_stats, diagnostics))``: a scalar, the statistics after the
            forward pass, and a dictionary of scalars to log. Where the state has a
            memory, it is the sixth argument, and the result is
            ``(loss, (batch_stats, diagnostics, (embeddings, labels)))``: the last two
            are what the memory is to keep of the batch.
        optimizer: an optimizer of optax. ``hyper`` and ``step`` are passed to those
            that take extra arguments. ``hyper`` is any tree: `make_optimizer` wants
            ``hyper.rates``, and moving averages want ``hyper.ema``.
        skip_nan: skip and count a step that is not finite, and train on.
        mesh: the devices that share each batch, from `data_mesh`.
        shardings: of the state, from `shardings_of`, where devices share some arrays,
            such as class weights. By default each device has all arrays.

    Returns:
        The step. Its ``measured`` has the scalars "loss", "grad_norm", "finite" and
        "halted", and the diagnostics.

    >>> def loss_of(params, batch_stats, batch, key, hyper):
    ...     return jnp.sum((params - batch) ** 2), (batch_stats, {})
    >>> optimizer = optax.sgd(0.25)
    >>> state = init_state(jnp.zeros(2), {}, optimizer)
    >>> step = make_step(loss_of, optimizer)
    >>> state, measured = step(state, jnp.array([4.0, 2.0]), jax.random.key(0))
    >>> print(state.params, measured["loss"])
    [2. 1.] 20.0
    """
    check_functions("make_step", loss_of=loss_of)
    check_fields("make_step", "optimizer", optimizer, "init update", OPTIMIZER)
    optimizer = optax.with_extra_args_support(optimizer)
    whole = None if mesh is None else whole_on("make_step", mesh)

    @partial(jax.jit, donate_argnums=0, out_shardings=(shardings or whole, whole))
    def step(
        state: TrainState, batch: Any, key: Array, hyper: Any = None
    ) -> tuple[TrainState, dict[str, Array]]:
        key = jax.random.fold_in(key, state.step)
        arguments = state.params, state.batch_stats, batch, key, hyper
        if state.memory is not None:
            arguments += (state.memory,)
        differentiate = jax.value_and_grad(loss_of, has_aux=True)
        (loss, (batch_stats, diagnostics, *latest)), gradients = differentiate(
            *arguments
        )
        grad_norm = optax.tree.norm(gradients)
        finite = jnp.isfinite(loss + grad_norm)

        def update(gradients: PyTree) -> TrainState:
            updates, opt_state = optimizer.update(
                gradients, state.opt_state, state.params, hyper=hyper, step=state.step
            )
            params = optax.apply_updates(state.params, updates)
            moved = state._replace(
                params=params, batch_stats=batch_stats, opt_state=opt_state
            )
            moved = _remember(_move_average(moved, hyper), latest, hyper)
            return moved._replace(step=state.step + 1)

        def skip(gradients: PyTree) -> TrainState:
            if skip_nan:
                return state._replace(step=state.step + 1, skipped=state.skipped + 1)
            return state._replace(halted=jnp.ones((), bool))

        # Without the barrier XLA computes all gradients twice: once for the norm, and
        # once more within the update.
        gradients = jax.lax.optimization_barrier(gradients)
        new = jax.lax.cond(finite & ~state.halted, update, skip, gradients)
        measured = {"loss": loss, "grad_norm": grad_norm, "finite": finite}
        return new, {**measured, "halted": new.halted, **diagnostics}

    return step


def _move_average(state: TrainState, hyper: Any) -> TrainState:
    """Moves the averages towards parameters and statistics, if there are averages."""
    if state.average is None:
        return state
    # The decay is less at first, or the initial parameters would weigh for long.
    decay = jnp.minimum(hyper.ema, (1 + state.step) / (10 + state.step))
    latest: Any = (state.params, state.batch_stats)
    average: Any = optax.incremental_update(latest, state.average, 1 - decay)
    return state._replace(average=average)


def _remember(state: TrainState, latest: Any, hyper: Any) -> TrainState:
    """Writes a batch to the memory, if there is one, and past warm-up."""
    if state.memory is None:
        return state
    if len(latest) != 1:
        raise ValueError(
            "make_step: `loss_of` must return (loss, (batch_stats, diagnostics,"
            " (embeddings, labels))), because the state has a memory"
        )
    embeddings, labels = latest[0]
    if isinstance(state.memory, Lengths):
        return state._replace(memory=update_lengths(state.memory, embeddings))
    where = jnp.full(len(labels), state.step >= getattr(hyper, "memory_warmup", 0))
    return state._replace(memory=update_memory(state.memory, *latest[0], where=where))
