"""What a run reports while it goes on: to its folder, and to whoever watches."""

import math
import sys
import time
from typing import Any

from tqdm import tqdm

from jml.errors import UserError

from .config import Config
from .run_folder import RunFolder

Recalls = dict[int, float]


class Journal:
    """Logs steps and evaluations, and shows a bar with the state of the run.

    Where standard error is not a terminal there is no bar, and a log file gets one
    line per evaluation.
    """

    def __init__(self, config: Config, run: RunFolder) -> None:
        """Starts the bar."""
        self.recalls: dict[str, Recalls] = {}  # by row of the final table
        self.images_per_second = 0.0
        self._config, self._run = config, run
        self._images, self._seconds = 0, 0.0
        self._last: float | None = None
        self._bar: Any = tqdm(
            total=config.maxiter,
            disable=None,  # that is: unless it is a terminal
            dynamic_ncols=True,
            bar_format="{percentage:3.0f}% {bar} {n}/{total}"
            ", {remaining} left{postfix}",
        )
        self._bar.set_postfix_str("compiling")

    def step(self, number: int, loss: float, lr: float) -> None:
        """Notes a finished step.

        Raises:
            UserError: its loss is not finite.
        """
        if not math.isfinite(loss):
            raise UserError(
                f"--lr: the loss is {loss} at step {number}; try a rate below"
                f" {self._config.lr:g}. {str(self._run.path)!r} keeps the steps before."
            )
        self._run.log(step=number, loss=loss, lr=lr)
        # The first step after an evaluation only starts the clock: neither that nor
        # compilation is part of the speed.
        now = time.perf_counter()
        if self._last is not None:
            self._images += self._config.batch_size
            self._seconds += now - self._last
            self.images_per_second = self._images / self._seconds
        self._last = now
        recall = next(reversed(self.recalls.values()))[1]
        self._bar.set_postfix_str(
            f"loss {loss:.4f}, {self.images_per_second:.0f} images/s,"
            f" Recall@1 {100 * recall:.1f} %",
            refresh=False,
        )
        self._bar.update()

    def baseline(self, name: str, recalls: Recalls) -> None:
        """Notes what retrieval without the network reaches."""
        self.recalls[name] = recalls
        self._run.log(baseline=name, **_named(recalls))
        self.say(f"{name:<12}  {_words(recalls)}")

    def evaluation(self, step: int, recalls: Recalls) -> None:
        """Notes what the network reaches after ``step`` steps."""
        self.recalls["trained" if step else "untrained"] = recalls
        self._last = None
        self._run.log(step=step, **_named(recalls))
        self.say(f"step {step:<7}  {_words(recalls)}")

    def table(self) -> str:
        """The recalls in percent: one line each for pixels, untrained and trained."""
        width = max(map(len, self.recalls))
        ks = self.recalls["untrained"]
        lines = [" " * width + "".join(f"{f'Recall@{k}':>10}" for k in ks)]
        for name, recalls in self.recalls.items():
            cells = (f"{100 * recall:>10.1f}" for recall in recalls.values())
            lines.append(f"{name:<{width}}" + "".join(cells))
        return "\n".join(lines)

    def close(self) -> None:
        """Leaves the bar as it stands."""
        self._bar.close()

    def say(self, line: str) -> None:
        """Prints a line above the bar."""
        self._bar.clear()
        print(line, file=sys.stderr, flush=True)
        self._bar.refresh()


def _words(recalls: Recalls) -> str:
    return "  ".join(f"Recall@{k} {100 * r:5.1f} %" for k, r in recalls.items())


def _named(recalls: Recalls) -> dict[str, float]:
    return {f"recall@{k}": recall for k, recall in recalls.items()}
