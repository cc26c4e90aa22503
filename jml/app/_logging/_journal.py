"""What a run logs and prints while it trains: to its folder, trackers, the terminal."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from jaxtyping import Int

from jml._attempts import Attempts
from jml._output import write_err, write_out
from jml.app._config import Config
from jml.app._embed import Recalls, recalls_of
from jml.app._flags_of_arguments import with_flags
from jml.app._run_folder import RunFolder
from jml.training import peak_memory

from ._event_file import EventFile


class Journal:
    """Logs steps and evaluations, and shows a progress bar.

    There is no bar if standard error is not a terminal: then a log file gets one line
    for each evaluation.
    """

    def __init__(
        self,
        config: Config,
        run: RunFolder,
        trackers: Sequence[Any] = (),
        done: int = 0,
    ) -> None:
        """Starts the bar; of a resumed run, takes in what it has logged before."""
        from tqdm import tqdm

        # What fails beside the training.
        self.attempts = Attempts(
            lambda line: self.notify(f"{with_flags(line)}; the run goes on")
        )
        self.recalls: dict[str, Recalls] = {}  # by row of the final table
        self.scores: dict[int, float] = {}  # Recall@1 by step
        self.images_per_second = 0.0
        self.skipped = 0  # steps that were not finite
        self._config, self._run = config, run
        # Of all steps but the first after each evaluation: they give the speed.
        self._images, self._seconds, self._is_warm = 0, 0.0, False
        for record in run.records:
            self._remember(record)
        self._trackers = list(trackers)
        if run.is_writer:
            with run.writing_folder():
                events = EventFile(run.path / "tensorboard", first_step=done + 1)
            self._trackers.append(events)
        self._bar: Any = tqdm(
            total=config.maxiter,
            initial=done,
            disable=None if run.is_writer else True,  # None: unless it is a terminal
            dynamic_ncols=True,
            bar_format="{percentage:3.0f}% {bar} {n}/{total}"
            ", {remaining} left{postfix}",
        )
        self._bar.set_postfix_str("compiling")

    def step(self, record: dict[str, Any]) -> None:
        """Logs a step that has ended."""
        # The first step after an evaluation compiles or waits: its time says nothing.
        if self._is_warm:
            self._images += self._config.batch_size
            self._seconds += record["seconds"]
            self.images_per_second = self._images / self._seconds
        self._is_warm = True
        speed = self._config.batch_size / record["seconds"]
        self._log(**_for_json(record), images_per_second=speed, memory=peak_memory())
        state = f"loss {record['loss']:.4f}, {self.images_per_second:.0f} images/s"
        for recalls in reversed(self.recalls.values()):
            state += f", Recall@1 {100 * recalls[1]:.1f} %"
            break
        self._bar.set_postfix_str(state, refresh=False)
        self._bar.update()

    def not_finite(
        self, record: Mapping[str, Any], indices: Int[np.ndarray, " b"]
    ) -> None:
        """Logs a step that was not finite, and the images of its batch."""
        self._run.log(**_for_json(record), indices=list(map(int, indices)))

    def baseline(self, name: str, recalls: Recalls) -> None:
        """Logs the Recall@K of retrieval without the network."""
        self._log(baseline=name, **_by_metric(recalls))
        self.notify(f"{name:<12}  {_in_percent(recalls)}")

    def evaluation(self, step: int, recalls: Recalls) -> None:
        """Logs the Recall@K of the network after ``step`` steps."""
        self._log(step=step, **_by_metric(recalls))
        self.notify(f"step {step:<7}  {_in_percent(recalls)}")

    def _log(self, **record: Any) -> None:
        self._remember(record)
        self._run.log(**record)
        values = {k: float(v) for k, v in record.items() if isinstance(v, int | float)}
        step = int(values.pop("step", 0))
        group = "train" if "seconds" in record else "test"
        if "baseline" not in record:
            values = {f"{group}/{name}": value for name, value in values.items()}
            for tracker in tuple(self._trackers):
                with self.attempts.at(tracker.name):
                    tracker.log(step, values)
                if tracker.name in self.attempts.problems:
                    self._trackers.remove(tracker)
                    with suppress(Exception):
                        tracker.close()

    def _remember(self, record: Mapping[str, Any]) -> None:
        self.skipped += not record.get("finite", True)
        recalls = recalls_of(record)
        if not recalls:
            return
        self._is_warm = False
        if "baseline" in record:
            self.recalls[record["baseline"]] = recalls
        else:
            self.recalls["trained" if record["step"] else "untrained"] = recalls
            self.scores[record["step"]] = recalls[1]

    def table(self) -> str:
        """Returns the recalls in percent: raw pixels, untrained and trained."""
        width = max(map(len, self.recalls))
        ks = next(iter(self.recalls.values()))
        lines = [" " * width + "".join(f"{f'Recall@{k}':>10}" for k in ks)]
        for name, recalls in self.recalls.items():
            cells = (f"{100 * recall:>10.1f}" for recall in recalls.values())
            lines.append(f"{name:<{width}}" + "".join(cells))
        return "\n".join(lines)

    def print_summary(self, seconds: float) -> None:
        """Prints the table of recalls, and what the run took."""
        if not self._run.is_writer:
            return
        write_out(f"\n{self.table()}\n")
        if self.skipped:
            write_out(f"{self.skipped} steps were not finite and have been skipped")
        steps, speed = self._config.maxiter, self.images_per_second
        write_out(
            f"{steps} step{'s' * (steps != 1)}"
            + f", {speed:.0f} images/s" * (speed > 0)  # none of the steps was timed
            + f", {seconds:.0f} s in all; written to {self._run.path}"
        )

    def close(self) -> None:
        """Closes trackers and bar; leaves the bar on screen."""
        self.attempts.silence()
        self.close_trackers()
        self._bar.close()

    def close_trackers(self) -> None:
        """Closes the trackers, which send or write what is left."""
        while self._trackers:
            tracker = self._trackers.pop()
            with self.attempts.at(tracker.name):
                tracker.close()

    def notify(self, line: str) -> None:
        """Prints a line above the bar."""
        if not self._run.is_writer:
            return
        self._bar.clear()
        write_err(line)
        self._bar.refresh()


def _for_json(record: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a record for JSON: values that are not finite stand apart, as text."""
    as_text = {k: str(v) for k, v in record.items() if not math.isfinite(v)}
    finite = {k: v for k, v in record.items() if k not in as_text}
    return {**finite, "not_finite": as_text} if as_text else finite


def _in_percent(recalls: Recalls) -> str:
    return "  ".join(f"Recall@{k} {100 * r:5.1f} %" for k, r in recalls.items())


def _by_metric(recalls: Recalls) -> dict[str, float]:
    return {f"recall@{k}": recall for k, recall in recalls.items()}
