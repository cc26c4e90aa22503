"""The training loop: for ``train_jax.py``, and for any other network and data.

Batches are made ahead, the device is never waited for without need, checkpoints are
saved in the background, and a signal or a loss that is not finite ends the run with its
state on disk.
"""

import signal
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import closing, nullcontext
from functools import partial
from itertools import islice, takewhile
from typing import Any

import jax
from jax.sharding import Mesh

from jml.errors import Interrupted, UserError
from jml.training._checkpoints._checkpoints import Checkpoints

from ._devices import any_process, replicate, split_batch
from ._interruption import Interruption
from ._prefetch import prefetch
from ._step import TrainState

# Steps in flight. Reading a loss waits for its step: doing so at once would leave the
# device idle between steps.
WINDOW = 4
Record = dict[str, Any]


class NotFinite(UserError):
    """A step's loss or gradient was not finite; the checkpoint is from before it."""

    def __init__(self, record: Mapping[str, Any]) -> None:
        """Remembers what was measured at the step."""
        self.record = record
        super().__init__(
            f"the loss is {record['loss']:.4g} and the gradient's norm"
            f" {record['grad_norm']:.4g} at step {record['step']}; the state before"
            " that step has been kept."
        )


def fit(
    step: Callable[..., tuple[TrainState, Mapping[str, jax.Array]]],
    state: TrainState,
    batches: Callable[[int], Any] | Iterable[Any],
    *,
    steps: int,
    key: jax.Array | None = None,
    hyper: Any = None,
    log: Callable[[Record], None] | None = None,
    every: int | None = None,
    evaluate: Callable[[int, TrainState], Mapping[str, float]] | None = None,
    evaluated: Callable[[int, TrainState], None] | None = None,
    checkpoints: Checkpoints | None = None,
    mesh: Mesh | None = None,
) -> TrainState:
    """Trains from where `state` stands until `steps` steps have been taken.

    Args:
        step: from ``make_step``.
        state: from ``init_state``, or ``checkpoints.restore`` of that. It is donated.
        batches: a function of the step, counted from 0; or an iterable, which is read
            from its beginning, so that after a restore as many batches are passed over
            as steps had been taken. With several processes, each gives its own rows.
        steps: of the whole training. A shorter iterable ends it earlier.
        key: of all that is drawn within steps.
        hyper: passed to the step: any numbers, which are traced.
        log: given a record of each step, counted from 1: what the step measured, and
            "seconds" (since the step before) and "waiting" (for its batch).
        every: steps between evaluations and checkpoints; by default at the end alone.
        evaluate: ``(step, state)`` to what a checkpoint is judged by ("recall@1"). A
            signal ends it at once.
        evaluated: called after that; a signal waits for its end.
        checkpoints: where to save; also when SIGINT or SIGTERM ends the run.
        mesh: the devices that share each batch; by default JAX's first.

    Returns:
        The last state.

    Raises:
        NotFinite: unless the step skips these.
        Interrupted: by a signal, once the state is saved.
        Exception: what `log`, `evaluate` or `evaluated` raise; of a single process once
            the state is saved.
    """
    key = jax.random.key(0) if key is None else key
    if mesh is not None:
        state, hyper = replicate(mesh, (state, hyper))
    first, every = int(state.step), every or max(steps, 1)
    stops = [s for s in range(every, steps, every) if s > first]
    stops += [steps] * (first < steps)

    def advance(state: TrainState, batch: Any) -> tuple[TrainState, Mapping[str, Any]]:
        batch = batch if mesh is None else split_batch(mesh, batch)
        return step(state, batch, key, hyper)

    feed = _feed(batches, range(first, steps))
    # Of several processes none may stop alone: the next step tells all.
    alone = jax.process_count() == 1
    with Interruption() as interruption, closing(feed):
        done = first
        for stop in stops:
            part = islice(feed, stop - done)
            asked = partial(any_process, mesh)
            state, problem = _take(advance, state, done, part, interruption, asked, log)
            done, scores = int(state.step), None
            if problem is None and evaluate is not None:
                try:
                    with interruption.at_once() if alone else nullcontext():
                        scores = evaluate(done, state)
                    if evaluated is not None:
                        evaluated(done, state)
                except Interrupted as error:
                    problem = Interrupted(error.number, f"after step {done}")
                except Exception as error:
                    if not alone:
                        raise
                    problem = error
            if checkpoints is not None:
                checkpoints.save(state, scores)
                if problem is not None or stop == steps:
                    checkpoints.wait()
            if problem is not None:
                raise problem
            if done < stop:  # the batches have ended
                break
        if interruption.number is not None and alone:
            raise Interrupted(interruption.number, f"after step {done}")
    return state


def _take(
    advance: Callable[[TrainState, Any], tuple[TrainState, Mapping[str, Any]]],
    state: TrainState,
    done: int,
    batches: Iterable[Any],
    interruption: Interruption,
    any_asked: Callable[[bool], Any],
    log: Callable[[Record], None] | None,
) -> tuple[TrainState, BaseException | None]:
    """Takes a step for each batch, unless something comes up; says what it was."""
    pending: deque[tuple[Record, Mapping[str, Any], Any]] = deque()
    last = time.perf_counter()

    def finish() -> BaseException | None:
        nonlocal last
        record, measured, asked = pending.popleft()
        record |= {k: value.item() for k, value in jax.device_get(measured).items()}
        now = time.perf_counter()
        record["seconds"], last = now - last, now
        if record.pop("halted"):
            return NotFinite(record)
        try:
            if log is not None:
                log(record)
        except Exception as error:
            if jax.process_count() > 1:
                raise
            return error
        if asked:
            number = interruption.number or signal.SIGTERM  # or another process's
            return Interrupted(number, f"after step {record['step']}")
        return None

    problem = None
    waits = last
    for batch in batches:
        waited = time.perf_counter() - waits
        state, measured = advance(state, batch)
        done += 1
        record = {"step": done, "waiting": waited}
        pending.append((record, measured, any_asked(interruption.number is not None)))
        if len(pending) > WINDOW and (problem := finish()):
            break
        waits = time.perf_counter()
    while pending and not isinstance(problem, NotFinite):
        problem = finish() or problem
    return state._replace(halted=state.halted & False), problem


END = object()


def _feed(
    batches: Callable[[int], Any] | Iterable[Any], steps: range
) -> Generator[Any, None, None]:
    """The batches of some steps, made ahead; of an iterable, as many as it has."""
    if callable(batches):
        ahead = prefetch(batches, steps)
    else:
        rest = islice(iter(batches), steps.start, None)
        ahead = prefetch(lambda _: next(rest, END), steps)
    with closing(ahead):
        yield from takewhile(lambda batch: batch is not END, ahead)
