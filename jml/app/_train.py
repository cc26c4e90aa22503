"""A run of the training command, top to bottom.

`_run` is the story: load the data, build what trains, start or resume, measure the
beginning, take the steps, report. Each of its lines is a function of this package;
`fit` of ``jml.training`` takes the steps.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import jax
from jax.sharding import Mesh

from jml._names import quoted
from jml._optional import need
from jml.app._config import Config
from jml.data import Dataset
from jml.errors import IncompleteError, UserError, reason_of
from jml.training import Checkpoints, TrainState, data_mesh

from ._build import Training, pick_devices
from ._compile_cache import keep_programs
from ._distributed import check_same_flags, join, raise_together
from ._early_exit import loading
from ._embed import Recalls, embed_pixels, recalls
from ._inputs import Batches
from ._logged_fit import logged_fit
from ._logging import Journal, load_wandb
from ._prepare import prepare
from ._profile import profiled
from ._report import report_run
from ._run_evaluations import RunEvaluations
from ._run_folder import WEIGHTS, RunFolder
from ._start import announce, claim_folder, start


class Summary(NamedTuple):
    """The results; ``recalls`` has the rows "raw pixels", "untrained" and "trained"."""

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
                f"trained, and what could be written is in {quoted(self.folder)}",
                "fix this, and --resume writes weights, plot and report anew.",
            )


def train_and_evaluate(config: Config) -> Summary:
    """Trains and evaluates; shows progress, and fills the run's folder.

    A failure beside the training or after it does not end the run: the summary reports
    it.

    Raises:
        UserError: a flag or a file is wrong, a loss is not finite, or a device has too
            little memory.
        Interrupted: a signal came; what was trained has been saved.
    """
    # What is missing is reported before the long work.
    with loading():
        need("training by this command", "matplotlib", "PIL", "safetensors", "tqdm")
        if config.wandb is not None:
            load_wandb()
    join(config)
    with raise_together():
        check_same_flags(config)
    mesh = data_mesh(pick_devices(config.cuda))
    if config.compile_cache:
        keep_programs(mesh.local_devices[0])
    run, config = claim_folder(config)
    try:
        device = None if config.cuda is None else mesh.local_devices[0]
        with jax.default_device(device), _memory_errors(config):
            return _run(config, run, mesh)
    finally:
        run.release()


def _run(config: Config, run: RunFolder, mesh: Mesh) -> Summary:
    began = time.perf_counter()
    with raise_together():
        dataset, batches, training, embed_test = prepare(
            config, mesh, initial_weights=run.saved_config is None
        )
    run.notes += training.notes
    state = training.state
    with ExitStack() as stack:
        state, checkpoints, journal = start(stack, config, run, dataset, state)
        devices, done = mesh.devices.size, int(state.step)
        announce(config, run, dataset, journal, devices=devices, done=done)
        evaluations = RunEvaluations(
            config, run, dataset, journal, embed_test, batches.num_classes
        )
        _measure_the_start(config, dataset, state, evaluations, journal)
        for step, score in journal.scores.items():
            checkpoints.set_score(step, score)  # it may have been saved without one
        step = profiled(stack, config, run, journal.attempts, training.step, done)
        training = training._replace(state=state, step=step)
        unsaved = _take_steps(
            config, run, training, batches, evaluations, journal, checkpoints, mesh
        )
        attempts = journal.attempts
        attempts.silence()  # the command's last line reports failures
        if run.is_writer and evaluations.embedded is not None:
            with attempts.at("report.html"):
                report_run(
                    run.path,
                    config,
                    dataset,
                    evaluations.embedded,
                    run.records,
                    retrieval=evaluations.retrieval,
                    notify=journal.notify,
                )
        journal.close_trackers()
        seconds = time.perf_counter() - began
        with attempts.at("the last table"):
            journal.print_summary(seconds)
        if unsaved is not None:
            raise unsaved
        speed, problems = journal.images_per_second, attempts.problems
        return Summary(run.path, journal.recalls, speed, seconds, problems)


def _measure_the_start(
    config: Config,
    dataset: Dataset,
    state: TrainState,
    evaluations: RunEvaluations,
    journal: Journal,
) -> None:
    """Logs the Recall@K of raw pixels and of the first state, unless it is known."""
    done = int(state.step)
    if not done:
        pixels = embed_pixels(dataset, crop=config.image_size)
        if pixels is not None:
            journal.baseline("raw pixels", recalls(pixels, dataset))
    is_last = done == config.maxiter
    is_due = done % config.eval_interval == 0 and done not in journal.scores
    if is_last or is_due:
        evaluations.evaluate(done, state)
        evaluations.after_evaluation(done, state)


def _take_steps(
    config: Config,
    run: RunFolder,
    training: Training,
    batches: Batches,
    evaluations: RunEvaluations,
    journal: Journal,
    checkpoints: Checkpoints,
    mesh: Mesh,
) -> Exception | None:
    """Trains; returns an error to raise at the end, if no file has the last weights.

    After the last evaluation an error in saving a checkpoint does not end the run.
    """
    try:
        logged_fit(config, training, batches, journal, checkpoints, evaluations, mesh)
        checkpoints.close()
    except Exception as error:
        if not (evaluations.finished and run.is_writer):
            raise
        with suppress(Exception):
            checkpoints.close()
        journal.attempts.note("checkpoints", reason_of(error))
        if WEIGHTS["last"] in journal.attempts.problems:
            return error
    return None


@contextmanager
def _memory_errors(config: Config) -> Iterator[None]:
    """Turns a lack of memory, of the device or the host, into a UserError."""
    try:
        yield
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
        if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
            kept = "" if config.memory is None else f", --memory {config.memory}"
            raise UserError(
                f"--batch_size: no memory for {config.batch_size} images of"
                f" --image_size {config.image_size} with --embedding_dim"
                f" {config.embedding_dim} (--batch_size_test"
                f" {config.batch_size_test}{kept}); lower one of these, or pass a"
                " --microbatch."
            ) from None
        raise
