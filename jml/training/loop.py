"""A whole run: data, network, training, evaluation, and what is kept of it."""

import time
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from jml._optional import need
from jml.data import Dataset
from jml.errors import UserError
from jml.models import save_weights

from .build import build, pick_devices
from .config import Config
from .devices import data_mesh, replicate
from .distributed import check_alike, join, together, wait_for_all
from .evaluate import Recalls, embed_pixels, make_embed_test, recalls
from .inputs import load_dataset, make_batches
from .journal import Journal
from .report import report_run
from .resume import checkpoints_of, claim_folder
from .run_folder import RunFolder
from .run_steps import take_steps
from .step import TrainState
from .wandb_log import WandbLog, load_wandb


class Summary(NamedTuple):
    """What a run came to; ``recalls`` has "raw pixels", "untrained" and "trained"."""

    folder: Path
    recalls: dict[str, Recalls]
    images_per_second: float
    seconds: float


def train_and_evaluate(config: Config) -> Summary:
    """Trains and evaluates, showing progress and filling the run folder.

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
    run = claim_folder(config)
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
        training = build(config, num_classes=batches.num_classes, mesh=mesh)
    embed_test = make_embed_test(training.graphdef, dataset, config, mesh)
    state = replicate(mesh, training.state)
    with ExitStack() as stack:
        open_checkpoints = partial(checkpoints_of, stack, config, run, dataset)
        if run.resumed:
            checkpoints = open_checkpoints()
            state = checkpoints.restore(state)
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
        embedded, found = None, {}

        def evaluate(step: int, state: TrainState) -> dict[str, float]:
            nonlocal embedded, found
            params, batch_stats = state.evaluated
            embedded = embed_test(params["model"], batch_stats)
            found = recalls(embedded, dataset)
            return {f"recall@{k}": recall for k, recall in found.items()}

        def evaluated(step: int, state: TrainState) -> None:
            params, batch_stats = state.evaluated
            if step not in journal.scores:
                journal.evaluation(step, found)
            if step:
                trained = {"params": params["model"], "batch_stats": batch_stats}
                best = found[1] >= max(r for step, r in journal.scores.items() if step)
                run.save(partial(save_weights, **trained), best=best)

        due = done % config.eval_interval == 0 or done == config.maxiter
        if due and (done == config.maxiter or done not in journal.scores):
            evaluate(done, state)
            evaluated(done, state)
        for step, score in journal.scores.items():
            checkpoints.score(step, score)  # one may have been saved without
        take_steps(
            config,
            training,
            state,
            batches,
            journal,
            checkpoints,
            mesh=mesh,
            evaluate=evaluate,
            evaluated=evaluated,
        )
        if run.ours:
            with run.writing():
                report_run(
                    run.path, config, dataset, embedded, run.records, say=journal.say
                )
        seconds = time.perf_counter() - began
        journal.end(seconds)
        return Summary(run.path, journal.recalls, journal.images_per_second, seconds)


def _say_what_runs(
    config: Config, run: RunFolder, dataset: Dataset, journal: Journal, done: int
) -> None:
    train, test = (len(np.unique(s.labels)) for s in (dataset.train, dataset.query))
    journal.say(
        f"{dataset.name}: {train} classes to train on, {test} others to test on;"
        f" {config.arch}, {config.loss}; run folder {run.path}"
    )
    for note in dataset.notes:
        journal.say(note)
    if run.resumed and done:
        journal.say(f"resumed after step {done}")
    elif config.resume:
        journal.say("nothing to resume: a new run")


def _log_pixels(config: Config, dataset: Dataset, journal: Journal) -> None:
    pixels = embed_pixels(dataset, crop=config.image_size)
    if pixels is not None:
        journal.baseline("raw pixels", recalls(pixels, dataset))
