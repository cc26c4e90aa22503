"""What a run reports while it goes on: to its folder, and to whoever watches."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from jml._attempts import Attempts
from jml._output import write_err, write_out
from jml.app._config import Config
from jml.app._flags_of_arguments import with_flags
from jml.app._run_folder._run_folder import RunFolder
from jml.training import peak_memory

from ._event_file import EventFile

Recalls = dict[int, float]


class Journal:
    """Logs steps and evaluations, and shows a bar with the state of the run.

    Where standard error is not a terminal there is no bar, and a log file gets one
    line per evaluation.
    """

    def __init__(
        self,
        config: Config,
        run: RunFolder,
        trackers: Sequence[Any] = (),
        done: int = 0,
    ) -> None:
        """Starts the bar, and goes on with what a resumed run has logged."""
        from tqdm import tqdm

        # What goes wrong beside the training itself.
        self.attempts = Attempts(lambda line: self.say(f"{line}; the run goes on"))
        self.recalls: dict[str, Recalls] = {}  # by row of the final table
        self.scores: dict[int, float] = {}  # Recall@1 by step
        self.images_per_second = 0.0
        self.skipped = 0  # steps that were not finite
        self._config, self._run = config, run
        self._images, self._seconds, self._resting = 0, 0.0, True
        for record in run.records:
            self._remember(record)
        self._trackers = list(trackers)
        if run.ours:
            with run.writing():
                events = EventFile(run.path / "tensorboard", first_step=done + 1)
            self._trackers.append(events)
        self._bar: Any = tqdm(
            total=config.maxiter,
            initial=done,
            disable=None if run.ours else True,  # None: unless it is a terminal
            dynamic_ncols=True,
            bar_format="{percentage:3.0f}% {bar} {n}/{total}"
            ", {remaining} left{postfix}",
        )
        self._bar.set_postfix_str("compiling")

    def step(self, record: dict[str, Any]) -> None:
        """Notes a finished step."""
        # The first step after an evaluation compiles, or waits: it does not count.
        if not self._resting:
            self._images += self._config.batch_size
            self._seconds += record["seconds"]
            self.images_per_second = self._images / self._seconds
        self._resting = False
        speed = self._config.batch_size / record["seconds"]
        self._log(**_told(record), images_per_second=speed, memory=peak_memory())
        state = f"loss {record['loss']:.4f}, {self.images_per_second:.0f} images/s"
        for recalls in reversed(self.recalls.values()):
            state += f", Recall@1 {100 * recalls[1]:.1f} %"
            break
        self._bar.set_postfix_str(state, refresh=False)
        self._bar.update()

    def not_finite(self, record: dict[str, Any], indices: Sequence[int]) -> None:
        """Notes a step that was not finite, and the images of its batch."""
        self._run.log(**_told(record), indices=list(map(int, indices)))

    def baseline(self, name: str, recalls: Recalls) -> None:
        """Notes what retrieval without the network reaches."""
        self._log(baseline=name, **_named(recalls))
        self.say(f"{name:<12}  {_words(recalls)}")

    def evaluation(self, step: int, recalls: Recalls) -> None:
        """Notes what the network reaches after ``step`` steps."""
        self._log(step=step, **_named(recalls))
        self.say(f"step {step:<7}  {_words(recalls)}")

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
        recalls = {
            int(name.removeprefix("recall@")): value
            for name, value in record.items()
            if name.startswith("recall@")
        }
        if not recalls:
            return
        self._resting = True
        if "baseline" in record:
            self.recalls[record["baseline"]] = recalls
        else:
            self.recalls["trained" if record["step"] else "untrained"] = recalls
            self.scores[record["step"]] = recalls[1]

    def table(self) -> str:
        """The recalls in percent: one line each for pixels, untrained and trained."""
        width = max(map(len, self.recalls))
        ks = next(iter(self.recalls.values()))
        lines = [" " * width + "".join(f"{f'Recall@{k}':>10}" for k in ks)]
        for name, recalls in self.recalls.items():
            cells = (f"{100 * recall:>10.1f}" for recall in recalls.values())
            lines.append(f"{name:<{width}}" + "".join(cells))
        return "\n".join(lines)

    def end(self, seconds: float) -> None:
        """Prints what the run came to."""
        if not self._run.ours:
            return
        write_out(f"\n{self.table()}\n")
        if self.skipped:
            write_out(f"{self.skipped} steps were not finite and have been skipped")
        write_out(
            f"{self._config.maxiter} steps, {self.images_per_second:.0f} images/s,"
            f" {seconds:.0f} s in all; written to {self._run.path}"
        )

    def close(self) -> None:
        """Leaves the bar as it stands."""
        self.attempts.report = lambda line: None
        self.close_trackers()
        self._bar.close()

    def close_trackers(self) -> None:
        """Lets them send and write what is left."""
        while self._trackers:
            tracker = self._trackers.pop()
            with self.attempts.at(tracker.name):
                tracker.close()

    def say(self, line: str) -> None:
        """Prints a line above the bar."""
        if not self._run.ours:
            return
        self._bar.clear()
        write_err(with_flags(line))
        self._bar.refresh()


def _told(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record as JSON can hold it: what is not finite stands apart, as text."""
    wrong = {k: str(v) for k, v in record.items() if not math.isfinite(v)}
    told = {k: v for k, v in record.items() if k not in wrong}
    return {**told, "not_finite": wrong} if wrong else told


def _words(recalls: Recalls) -> str:
    return "  ".join(f"Recall@{k} {100 * r:5.1f} %" for k, r in recalls.items())


def _named(recalls: Recalls) -> dict[str, float]:
    return {f"recall@{k}": recall for k, recall in recalls.items()}
