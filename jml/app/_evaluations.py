"""What a run does every so many steps: it measures the network and keeps it."""

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import jax

from jml.app._config import Config
from jml.app._logging._journal import Journal
from jml.app._run_folder._run_folder import RunFolder
from jml.data import Dataset
from jml.models import save_weights
from jml.training import TrainState

from ._embed import Embedded, Recalls, recalls


class Evaluations:
    """The arguments ``evaluate`` and ``evaluated`` of ``fit``, and what they leave."""

    def __init__(
        self,
        config: Config,
        run: RunFolder,
        dataset: Dataset,
        journal: Journal,
        embed_test: Callable[[Any, Any], Embedded],
    ) -> None:
        """Measures nothing yet."""
        self.embedded: Embedded | None = None  # by the last evaluation, if it succeeded
        self.finished = False  # all steps are taken, and this has followed the last
        self._found: Recalls = {}
        self._config, self._run, self._dataset = config, run, dataset
        self._journal, self._embed_test = journal, embed_test

    def evaluate(self, step: int, state: TrainState) -> dict[str, float]:
        """Embeds the test images and measures their Recall@K.

        Once all steps are taken a failure does not cost them: it is noted.
        """
        self.embedded, self._found = None, {}
        params, batch_stats = state.to_evaluate
        attempts, alone = self._journal.attempts, jax.process_count() == 1
        last = step == self._config.maxiter and alone
        with attempts.at("evaluation and report") if last else nullcontext():
            embedded = self._embed_test(params["model"], batch_stats)
            self._found = recalls(embedded, self._dataset)
            self.embedded = embedded
        return {f"recall@{k}": recall for k, recall in self._found.items()}

    def evaluated(self, step: int, state: TrainState) -> None:
        """Logs what was measured, and writes the weights and the plot."""
        journal, attempts, found = self._journal, self._journal.attempts, self._found
        if not found:  # what was measured before is not of these weights
            journal.recalls.pop("trained", None)
        elif step not in journal.scores:
            with attempts.at("metrics.jsonl"):
                journal.evaluation(step, found)
        if step:
            params, batch_stats = state.to_evaluate
            trained = {"params": params["model"], "batch_stats": batch_stats}
            scores = [score for at, score in journal.scores.items() if at]
            best = bool(found) and found[1] >= max(scores)
            write_weights = partial(save_weights, **trained)
            self._run.save(write_weights, best=best, attempts=attempts)
        self.finished = step == self._config.maxiter
