"""A whole run: data, network, training, evaluation, and what is kept of it."""

import time
from contextlib import ExitStack, closing, suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from jml._optional import need
from jml.app._config import Config
from jml.app._logging._journal import Journal
from jml.app._logging._wandb_log import WandbLog, load_wandb
from jml.app._run_folder._finished_run import WEIGHTS
from jml.app._run_folder._resume import checkpoints_of, claim_folder, restore
from jml.app._run_folder._run_folder import RunFolder
from jml.data import Dataset
from jml.errors import IncompleteError, UserError, reason_of
from jml.training import data_mesh, replicate

from ._build import build, pick_devices
from ._distributed import check_alike, join, together, wait_for_all
from ._embed import Recalls, embed_pixels, make_embed_test, recalls
from ._evaluations import Evaluations
from ._inputs import load_dataset, make_batches
from ._report import report_run
from ._run_steps import take_steps


class Summary(NamedTuple):
    """What a run came to; ``recalls`` has "raw pixels", "untrained" and "trained"."""

    folder: Path
    recalls: dict[str, Recalls]
    images_per_second: float
    seconds: float
    problems: dict[str, str]  # what failed beside or after the training, and why

    def check(self) -> None:
        """Raises an IncompleteError if there are problems."""
        if self.problems:
            raise IncompleteError(
                self.problems,
                f"trained, and what could be written is in {str(self.folder)!r}",
                "mend this, and --resume writes weights, plot and report anew.",
            )


def train_and_evaluate(config: Config) -> Summary:
    """Trains and evaluates, showing progress and filling the run folder.

    What fails beside the training, or after it, does not end it: the summary has it.

    Raises:
        UserError: a mistake in the flags or the files, a loss that is not finite, or
            a device without enough memory.
        Interrupted: by a signal; what was trained is kept.
    """
    # What is missing is reported before the long work.
    need("training by this command", "matplotlib", "PIL", "safetensors", "tqdm")
    if config.wandb is not None:
        load_wandb()
    join(config)
    with together():
        check_alike(config)
    mesh = data_mesh(pick_devices(config.cuda))
    run, config = claim_folder(config)
    try:
        own = None if config.cuda is None else mesh.local_devices[0]
        with jax.default_device(own):
            return _run(config, run, mesh)
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
        if not isinstance(error, MemoryError) and "RESOURCE_EXHAUSTED" not in str(
            error
        ):
            raise
        raise UserError(
            f"--batch_size: no memory for {config.batch_size} images of --image_size"
            f" {config.image_size} with --embedding_dim {config.embedding_dim}"
            f" (--batch_size_test {config.batch_size_test}); lower one of these, or"
            " pass a --microbatch."
        ) from None
    finally:
        run.release()


def _run(config: Config, run: RunFolder, mesh: Mesh) -> Summary:
    began = time.perf_counter()
    with together():
        dataset = load_dataset(config, to_train=True)
        batches = make_batches(config, dataset.train, mesh)
        training = build(
            config,
            num_classes=batches.num_classes,
            mesh=mesh,
            initial_weights=run.saved is None,
        )
    embed_test = make_embed_test(training.graphdef, dataset, config, mesh)
    state = replicate(mesh, training.state)
    with ExitStack() as stack:
        open_checkpoints = partial(checkpoints_of, stack, config, run, dataset)
        if run.resumed:
            checkpoints = open_checkpoints()
            state = restore(checkpoints, state, run)
        done = int(state.step)
        if done > config.maxiter:
            raise UserError(
                f"--maxiter: {config.maxiter} is less than the {done} steps that"
                f" {str(run.path)!r} has behind it; pass more."
            )
        trackers = []
        if run.ours and config.wandb is not None:  # before an earlier run is replaced
            trackers.append(WandbLog(config, run.path, resumed=run.resumed))
        run.start(config, done=done)
        wait_for_all("the run folder is ready")
        if not run.resumed:
            checkpoints = open_checkpoints()
        journal = stack.enter_context(
            closing(Journal(config, run, trackers, done=done))
        )
        _say_what_runs(config, run, dataset, journal, done)
        if not done:
            _log_pixels(config, dataset, journal)
        evaluations = Evaluations(config, run, dataset, journal, embed_test)
        due = done % config.eval_interval == 0 or done == config.maxiter
        if due and (done == config.maxiter or done not in journal.scores):
            evaluations.evaluate(done, state)
            evaluations.evaluated(done, state)
        for step, score in journal.scores.items():
            checkpoints.set_score(step, score)  # one may have been saved without
        attempts, lost = journal.attempts, None
        try:
            take_steps(
                config,
                training,
                state,
                batches,
                journal,
                checkpoints,
                mesh=mesh,
                evaluate=evaluations.evaluate,
                after_evaluation=evaluations.evaluated,
            )
            checkpoints.close()
        except Exception as error:
            if not (evaluations.finished and run.ours):
                raise
            attempts.note("checkpoints", reason_of(error))
            if WEIGHTS["last"] in attempts.problems:  # all that was trained, that is
                lost = error
            with suppress(Exception):
                checkpoints.close()
        attempts.report = lambda line: None  # the last line will have it
        if run.ours and evaluations.embedded is not None:
            with attempts.at("report.html"):
                report_run(
                    run.path,
                    config,
                    dataset,
                    evaluations.embedded,
                    run.records,
                    say=journal.say,
                )
        journal.close_trackers()
        seconds = time.perf_counter() - began
        with attempts.at("the last table"):
            journal.end(seconds)
        if lost is not None:
            raise lost
        return Summary(
            run.path,
            journal.recalls,
            journal.images_per_second,
            seconds,
            attempts.problems,
        )


def _say_what_runs(
    config: Config, run: RunFolder, dataset: Dataset, journal: Journal, done: int
) -> None:
    train, test = (len(np.unique(s.labels)) for s in (dataset.train, dataset.query))
    journal.say(
        f"{dataset.name}: {train} classes to train on, {test} others to test on;"
        f" {config.arch}, {config.loss}; run folder {run.path}"
    )
    for note in (*run.notes, *dataset.notes):
        journal.say(note)
    if run.resumed and done:
        journal.say(f"resumed after step {done}")
    elif config.resume:
        journal.say("nothing to resume: a new run")


def _log_pixels(config: Config, dataset: Dataset, journal: Journal) -> None:
    pixels = embed_pixels(dataset, crop=config.image_size)
    if pixels is not None:
        journal.baseline("raw pixels", recalls(pixels, dataset))
