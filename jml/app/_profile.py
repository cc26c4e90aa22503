"""Some steps of a run as JAX's profiler sees them: ``--profile A:B``.

The run folder gets ``profile``. TensorBoard shows it with its profile plugin, and
Perfetto opens ``perfetto_trace.json.gz`` in it.
"""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import jax

from jml._attempts import Attempts
from jml._names import quoted
from jml._output import write_err
from jml.app._config import Config

from ._run_folder import RunFolder

FOLDER = "profile"
Step = Callable[..., tuple[Any, Any]]


def profiled(
    stack: ExitStack,
    config: Config,
    run: RunFolder,
    attempts: Attempts,
    step: Step,
    done: int,
) -> Step:
    """Returns the same step, which is traced in its turn.

    A failure to write the trace is noted, and training goes on.

    Args:
        stack: writes the trace if the training ends before the last traced step.
        config: configuration of the run.
        run: its folder.
        attempts: notes failures.
        step: a training step, which returns the next state and what it measured.
        done: how many steps have been taken before.
    """
    if config.profile is None or not run.is_writer:
        return step
    first, last = map(int, config.profile.split(":"))
    if done >= last:
        write_err(f"note: --profile: steps {config.profile} are over; none is traced")
        return step
    begun, tracing = False, ExitStack()
    stack.push(tracing)

    def begin() -> None:
        with attempts.at(FOLDER):
            folder = run.path / FOLDER
            jax.profiler.start_trace(folder, create_perfetto_trace=True)
            tracing.callback(end)

    def end() -> None:
        with attempts.at(FOLDER):
            jax.profiler.stop_trace()
            write_err(f"a trace to step {done} is in {quoted(run.path / FOLDER)}")

    def traced(state: Any, *arguments: Any) -> tuple[Any, Any]:
        nonlocal begun, done
        done += 1
        if done >= first and not begun:
            begun = True
            jax.block_until_ready(state)  # earlier steps have ended
            begin()
        with jax.profiler.StepTraceAnnotation("train", step_num=done):
            state, measured = step(state, *arguments)
        if done == last:
            jax.block_until_ready(state)
            tracing.close()
        return state, measured

    return traced
