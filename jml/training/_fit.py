"""The loop over steps: trains any network on any data.

`fit` makes batches ahead, reads results only when they are due, saves checkpoints in
the background, and ends with the state on disk at a signal, at a loss that is not
finite, and when a function that it was given fails.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing, nullcontext
from itertools import islice
from typing import Any

import jax
from jax.sharding import Mesh

from jml._checks import check_count, check_key
from jml._value_checks import check_fields, check_functions, check_integer
from jml.errors import Interrupted

from ._checkpoints import Checkpoints
from ._devices import check_mesh, replicate_rest, split_batch
from ._in_flight import WINDOW, InFlight, Measured, NotFinite
from ._interruption import Interruption
from ._prefetch import prefetch_any
from ._step import TrainState

Scores = Mapping[str, float]


def fit(
    step: Callable[..., tuple[TrainState, Measured]],
    state: TrainState,
    batches: Callable[[int], Any] | Iterable[Any],
    *,
    steps: int,
    key: jax.Array | None = None,
    hyper: Any = None,
    log: Callable[[dict[str, Any]], None] | None = None,
    every: int | None = None,
    evaluate: Callable[[int, TrainState], Scores] | None = None,
    after_evaluation: Callable[[int, TrainState], None] | None = None,
    checkpoints: Checkpoints | None = None,
    mesh: Mesh | None = None,
) -> TrainState:
    """Trains from the step at which `state` stands until `steps` have been taken.

    Args:
        step: the compiled step, from `make_step`.
        state: from `init_state`, or ``checkpoints.restore`` of that. It is donated.
        batches: a function of the step, counted from 0; or an iterable. An iterable is
            read from its beginning: a resumed training skips as many batches as it has
            taken steps. With several processes, each provides its `local_rows`.
        steps: steps of the whole training. An iterable that is shorter ends it earlier.
        key: random key of the whole training; by default that of seed 0.
        hyper: numbers for the step, which are traced.
        log: called with a record of each step, counted from 1: "step", what the step
            measured, "seconds" since the end of the step before, and the seconds of
            "waiting" for the batch.
        every: number of steps between evaluations and checkpoints; by default there
            is one of each, at the end.
        evaluate: ``(step, state) -> scores``, of which "recall@1" decides on the best
            checkpoint. A signal ends it at once.
        after_evaluation: called with the same after each evaluation. It is not
            interrupted by a signal.
        checkpoints: where to save, also when the training ends early.
        mesh: the devices that share each batch; by default JAX's first device. Arrays
            of the state that are on the mesh already stay as they lie.

    Returns:
        The state after the last step.

    Raises:
        NotFinite: a loss or gradient is not finite, and the step does not skip it.
        Interrupted: SIGINT or SIGTERM came. The state has been saved.
        ValueError: an argument is of the wrong kind or out of range.
        Exception: whatever `log`, `evaluate` or `after_evaluation` raise. With a single
            process the state has been saved.
    """
    _check(batches, steps, every, checkpoints)
    check_functions("fit", step=step)
    functions = {"log": log, "evaluate": evaluate, "after_evaluation": after_evaluation}
    check_functions("fit", optional=True, **functions)
    check_fields("fit", "state", state, "step halted", "a state from `init_state`")
    key = jax.random.key(0) if key is None else check_key("fit", "key", key)
    if mesh is not None:
        check_mesh("fit", mesh)
        state, hyper = replicate_rest(mesh, (state, hyper))

    def advance(state: TrainState, batch: Any) -> tuple[TrainState, Measured]:
        batch = batch if mesh is None else split_batch(mesh, batch)
        return step(state, batch, key, hyper)

    done, every = int(state.step), every or max(steps, 1)
    stops = [stop for stop in range(every, steps, every) if stop > done]
    if done < steps:
        stops.append(steps)
    feed = prefetch_any(batches, range(done, steps))
    with Interruption() as interruption, closing(feed):
        for stop in stops:
            in_flight = InFlight(done, interruption, mesh, log)
            state, problem = _take(advance, state, islice(feed, stop - done), in_flight)
            done, scores = int(state.step), None
            if problem is None and evaluate is not None:
                scores, problem = _evaluate(
                    evaluate, after_evaluation, done, state, interruption
                )
            if checkpoints is not None:
                checkpoints.save(state, scores)
                if problem is not None or stop == steps:
                    checkpoints.wait()
            if problem is not None:
                raise problem
            if done < stop:  # the batches have ended
                break
        if interruption.number is not None and jax.process_count() == 1:
            raise Interrupted(interruption.number, f"after step {done}")
    return state


def _check(batches: Any, steps: Any, every: Any, checkpoints: Any) -> None:
    check_integer("fit", "steps", steps)
    if every is not None:
        check_count("fit", "every", every)
    if not callable(batches) and not isinstance(batches, Iterable):
        raise ValueError(
            "fit: `batches` must be a function of the step or an iterable, got"
            f" {type(batches).__name__}"
        )
    if checkpoints is not None and not hasattr(checkpoints, "save"):
        raise ValueError(
            "fit: `checkpoints` must be a Checkpoints or None, got"
            f" {type(checkpoints).__name__}; pass Checkpoints(folder)"
        )


def _take(
    advance: Callable[[TrainState, Any], tuple[TrainState, Measured]],
    state: TrainState,
    batches: Iterable[Any],
    in_flight: InFlight,
) -> tuple[TrainState, BaseException | None]:
    """Takes a step for each batch; returns the state, and why training must end."""
    problem, waiting_since = None, time.perf_counter()
    for batch in batches:
        waiting = time.perf_counter() - waiting_since
        state, measured = advance(state, batch)
        in_flight.add(measured, waiting=waiting)
        if len(in_flight) > WINDOW and (problem := in_flight.finish()):
            break
        waiting_since = time.perf_counter()
    while in_flight and not isinstance(problem, NotFinite):
        problem = in_flight.finish() or problem
    # False, on the devices where it was: a resumed training goes on.
    return state._replace(halted=state.halted & False), problem


def _evaluate(
    evaluate: Callable[[int, TrainState], Scores],
    after_evaluation: Callable[[int, TrainState], None] | None,
    step: int,
    state: TrainState,
    interruption: Interruption,
) -> tuple[Scores | None, BaseException | None]:
    """Evaluates; returns the scores, if there are, and why training must end."""
    scores, alone = None, jax.process_count() == 1
    try:
        with interruption.at_once() if alone else nullcontext():
            scores = evaluate(step, state)
        if after_evaluation is not None:
            after_evaluation(step, state)
    except Interrupted as error:
        return scores, Interrupted(error.number, f"after step {step}")
    except Exception as error:
        if not alone:
            raise
        return scores, error
    return scores, None
