"""Steps that have been started, and what is done when each has ended."""

import signal
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import jax
from jax.sharding import Mesh

from jml.errors import Interrupted, UserError

from ._devices import any_process
from ._interruption import Interruption

# How many steps may be in flight. Reading the loss of a step waits for its end, and
# reading it at once would leave the device idle until the next step is started.
WINDOW = 4
Record = dict[str, Any]
Measured = Mapping[str, jax.Array]


class NotFinite(UserError):
    """A step's loss or gradient was not finite; the checkpoint is from before it."""

    def __init__(self, record: Mapping[str, Any]) -> None:
        """Takes what was measured at the step: ``record``, as it would be logged."""
        self.record = record
        super().__init__(
            f"the loss is {record['loss']:.4g} and the gradient's norm"
            f" {record['grad_norm']:.4g} at step {record['step']}; the state before"
            " that step has been kept."
        )


class InFlight:
    """Steps that have been started, whose results have not been read yet."""

    def __init__(
        self,
        done: int,
        interruption: Interruption,
        mesh: Mesh | None,
        log: Callable[[Record], None] | None,
    ) -> None:
        """Begins after `done` steps, with none in flight."""
        self._started, self._ended_at = done, time.perf_counter()
        self._interruption, self._mesh, self._log = interruption, mesh, log
        self._steps: deque[tuple[Record, Measured, Any]] = deque()

    def __len__(self) -> int:
        """How many steps are in flight."""
        return len(self._steps)

    def add(self, measured: Measured, *, waiting: float) -> None:
        """Adds a step that has just been started."""
        self._started += 1
        # All processes have to stop at the same step, or some would wait for others:
        # with each step they learn whether any of them has got a signal.
        signalled = any_process(self._mesh, self._interruption.number is not None)
        record = {"step": self._started, "waiting": waiting}
        self._steps.append((record, measured, signalled))

    def finish(self) -> BaseException | None:
        """Waits for the oldest step and logs it; returns why training must end."""
        record, measured, signalled = self._steps.popleft()
        record |= {name: x.item() for name, x in jax.device_get(measured).items()}
        now = time.perf_counter()
        record["seconds"], self._ended_at = now - self._ended_at, now
        if record.pop("halted"):
            return NotFinite(record)
        try:
            if self._log is not None:
                self._log(record)
        except Exception as error:
            if jax.process_count() > 1:
                raise
            return error
        if signalled:
            # If another process got the signal, its number is not known here.
            number = self._interruption.number or signal.SIGTERM
            return Interrupted(number, f"after step {record['step']}")
        return None
