"""The evaluations during a run: each measures the network and saves its weights."""

from collections.abc import Callable
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jml.app._config import Config
from jml.data import Dataset
from jml.evaluation import Evaluation
from jml.models import save_weights
from jml.training import TrainState

from ._embed import Embedded, Recalls, recalls, recalls_of
from ._logging import Journal
from ._report import measure_retrieval
from ._run_folder import CLASS_WEIGHTS, TENSOR, RunFolder


class RunEvaluations:
    """``evaluate`` and ``after_evaluation`` for `fit`, and what the report needs."""

    def __init__(
        self,
        config: Config,
        run: RunFolder,
        dataset: Dataset,
        journal: Journal,
        embed_test: Callable[[Any, Any], Embedded],
        num_classes: int | None = None,
    ) -> None:
        """Prepares; nothing is measured yet."""
        # Of the last evaluation, if it succeeded; all metrics only after the last step.
        self.embedded: Embedded | None = None
        self.retrieval: Evaluation | None = None
        self.finished = False  # the evaluation after the last step is done
        self._recalls: Recalls = {}
        self._config, self._run, self._dataset = config, run, dataset
        self._journal, self._embed_test = journal, embed_test
        self._num_classes = num_classes  # rows after them stand for no class

    def evaluate(self, step: int, state: TrainState) -> dict[str, float]:
        """Embeds the test images and returns their Recall@K.

        After the last step of a single process all metrics of retrieval are measured:
        the report has them, and ranks nothing again. A failure there is only noted: it
        must not cost the weights.
        """
        self.embedded, self.retrieval, self._recalls = None, None, {}
        params, batch_stats = state.to_evaluate
        attempts, alone = self._journal.attempts, jax.process_count() == 1
        is_last = step == self._config.maxiter and alone
        with attempts.at("evaluation and report") if is_last else nullcontext():
            self.embedded = self._embed_test(params["model"], batch_stats)
            if is_last:
                with suppress(Exception):  # Recall@K takes less, and may yet succeed
                    self.retrieval = measure_retrieval(
                        self.embedded, self._dataset, self._config
                    )
            if self.retrieval is not None:
                self._recalls = recalls_of(self.retrieval.metrics)
            else:
                self._recalls = recalls(self.embedded, self._dataset)
        return {f"recall@{k}": recall for k, recall in self._recalls.items()}

    def after_evaluation(self, step: int, state: TrainState) -> None:
        """Logs what was measured, and writes the weights and the plot."""
        journal, attempts, measured = (
            self._journal,
            self._journal.attempts,
            self._recalls,
        )
        if not measured:  # the row 'trained' is of earlier weights
            journal.recalls.pop("trained", None)
        elif step not in journal.scores:
            with attempts.at("metrics.jsonl"):
                journal.evaluation(step, measured)
        if step:
            write_weights = partial(self._write_weights, *state.to_evaluate)
            scores = [score for at, score in journal.scores.items() if at]
            best = bool(measured) and measured[1] >= max(scores)
            self._run.save(write_weights, best=best, attempts=attempts)
        self.finished = step == self._config.maxiter

    def _write_weights(self, params: Any, batch_stats: Any, path: Path) -> None:
        """Writes the network to a path, and the class weights of the loss beside it."""
        save_weights(path, params=params["model"], batch_stats=batch_stats)
        if "proxies" in params:
            weights = np.asarray(params["proxies"])[: self._num_classes]
            beside = path.with_name(CLASS_WEIGHTS[path.name])
            save_weights(beside, {}, {}, others={TENSOR: weights})
