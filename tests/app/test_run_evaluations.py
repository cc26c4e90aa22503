"""What follows the last step may fail, and costs no weights."""

from types import SimpleNamespace

import numpy as np
import pytest

from jml.app._config import Config
from jml.app._embed import Embedded
from jml.app._logging import Journal
from jml.app._report import report_run
from jml.app._run_evaluations import RunEvaluations
from jml.app._run_folder import RunFolder
from jml.data import Dataset, Split
from jml.evaluation import evaluate

SPLIT = Split(np.zeros((6, 8, 8, 3), np.uint8), np.arange(6) // 2)
DATASET = Dataset("some", SPLIT, SPLIT, None, ("a", "b", "c"))


def started(config):
    run = RunFolder.claim(config)
    run.start(config)
    return run, Journal(config, run)


def test_an_evaluation_that_fails_at_the_end_keeps_the_weights(tmp_path, monkeypatch):
    def embed_test(params, batch_stats):
        if params["fails"]:
            raise MemoryError("no room")
        return Embedded(np.eye(6, 4, dtype=np.float32), None)

    def write_weights(path, params, batch_stats, others=None):
        path.write_text(str(others or params["fails"]))

    monkeypatch.setattr("jml.app._run_evaluations.save_weights", write_weights)
    config = Config(checkpoints_path=str(tmp_path), name="a", maxiter=4)
    run, journal = started(config)
    evaluations = RunEvaluations(config, run, DATASET, journal, embed_test, 3)

    def evaluate(step, *, fails):
        params = {"model": {"fails": fails}, "proxies": np.arange(4) + step}
        state = SimpleNamespace(to_evaluate=(params, {}))
        scores = evaluations.evaluate(step, state)
        evaluations.after_evaluation(step, state)
        return scores

    assert "recall@1" in evaluate(2, fails=False)
    assert journal.recalls.keys() == {"trained"} and not evaluations.finished
    with pytest.raises(MemoryError):  # before the end it is for `fit` to save first
        evaluations.evaluate(
            3, SimpleNamespace(to_evaluate=({"model": {"fails": 1}}, 0))
        )
    assert evaluate(4, fails=True) == {}
    assert evaluations.finished and evaluations.embedded is None
    problems = journal.attempts.problems
    assert problems == {"evaluation and report": "MemoryError: no room"}
    assert (run.path / "weights.safetensors").read_text() == "True"
    assert (run.path / "best.safetensors").read_text() == "False"
    for name, step in (("class_weights", 4), ("best_class_weights", 2)):
        rows = {"class_weights": np.arange(3) + step}  # of classes alone
        assert (run.path / f"{name}.safetensors").read_text() == str(rows)
    assert not journal.recalls  # what was measured is not of these weights
    journal.close()
    run.release()


def test_the_report_ranks_nothing_that_the_last_evaluation_has_ranked(
    tmp_path, monkeypatch
):
    rng = np.random.default_rng(0)
    embedded = Embedded(rng.normal(size=(6, 4)).astype(np.float32), None)
    config = Config(checkpoints_path=str(tmp_path), name="a", maxiter=4)
    run, journal = started(config)
    evaluations = RunEvaluations(config, run, DATASET, journal, lambda *_: embedded)
    state = SimpleNamespace(to_evaluate=({"model": {}}, {}))
    scores = evaluations.evaluate(2, state)
    assert evaluations.retrieval is None
    with monkeypatch.context() as patch:
        patch.setattr("jml.app._run_evaluations.measure_retrieval", None)  # it fails
        assert evaluations.evaluate(4, state) == scores
        assert evaluations.retrieval is None and evaluations.embedded is embedded
    assert evaluations.evaluate(4, state) == scores  # by `evaluate`, and the same
    journal.close()
    run.release()

    seen, expected = [], evaluate(embedded.query, SPLIT.labels)
    monkeypatch.setattr("jml.evaluation._measure.relevant_ranks", None)
    monkeypatch.setattr("jml.app._report.missing_packages", lambda: "nothing")
    report_run(
        run.path,
        config,
        DATASET,
        embedded,
        [],
        retrieval=evaluations.retrieval,
        notify=lambda line: None,
        show=seen.append,
    )
    assert seen[0].metrics == expected.metrics
    assert seen[0].intervals == expected.intervals
