"""How a run starts: it claims its folder, restores its state, and opens its log."""

import hashlib
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jml._names import name_bytes, quoted
from jml._output import write_err
from jml.app._config import Config, check_same_run
from jml.data import Dataset
from jml.errors import UserError
from jml.training import Checkpoints, TrainState

from ._distributed import broadcast, raise_together, wait_for_all
from ._flags_of_arguments import flags_for, with_flags
from ._logging import Journal, WandbLog
from ._run_folder import RunFolder


def claim_folder(config: Config) -> tuple[RunFolder, Config]:
    """Claims the run's folder; process 0 finds and writes it for all.

    Returns:
        The folder, and the configuration to run: `config`, in which a resumed run's
        checkpoints have settled what was left open.
    """
    run = None
    with raise_together():
        if jax.process_index() == 0:
            run = RunFolder.claim(config)
    path, resumed, saved = broadcast(
        [str(run and run.path), run and run.resumed, run and run.saved_config]
    )
    run = run or RunFolder(Path(path), resumed=resumed, is_writer=False)
    run.saved_config = saved
    if saved is None:
        return run, config
    settled = config.resumed_from(saved)
    if "weights" not in config.filled and config.weights != settled.weights:
        run.notes += (
            f"--weights {config.weights} is ignored: the checkpoint holds all"
            f" parameters of the run, which began with {settled.weights}",
        )
    return run, settled


def start(
    stack: ExitStack,
    config: Config,
    run: RunFolder,
    dataset: Dataset,
    state: TrainState,
) -> tuple[TrainState, Checkpoints, Journal]:
    """Starts the run, or resumes it: nothing in its folder has changed until here.

    Args:
        stack: closes the checkpoints and the journal.
        config: configuration of the run.
        run: its folder, which has been claimed.
        dataset: its images.
        state: the state before the first step.

    Returns:
        The state to go on from, the checkpoints and the journal.

    Raises:
        UserError: the run cannot be resumed, or its folder cannot be written.
    """
    checkpoints = None
    if run.resumed:
        checkpoints = _open_checkpoints(stack, config, run, dataset)
        state = _restore(checkpoints, state, run)
    done = int(state.step)
    if done > config.maxiter:
        raise UserError(
            f"--maxiter: {config.maxiter} is less than the {done} steps that"
            f" {quoted(run.path)} has behind it; pass more."
        )
    trackers = []
    if run.is_writer and config.wandb is not None:
        # Before `run.start` replaces an earlier run: this may fail.
        trackers.append(WandbLog(config, run.path, resumed=run.resumed))
    run.start(config, done=done)
    wait_for_all("the run folder is ready")
    if checkpoints is None:
        checkpoints = _open_checkpoints(stack, config, run, dataset)
    journal = Journal(config, run, trackers, done=done)
    return state, checkpoints, stack.enter_context(closing(journal))


def _open_checkpoints(
    stack: ExitStack, config: Config, run: RunFolder, dataset: Dataset
) -> Checkpoints:
    """Opens the checkpoints of a run until `stack` is closed.

    They are restored only for the same configuration, in the fields that decide the
    weights, and for the same classes and training labels.
    """
    digest = hashlib.sha256(np.ascontiguousarray(dataset.train.labels).tobytes())
    digest.update(name_bytes("\0".join(map(str, dataset.class_names))))
    fingerprint = digest.hexdigest()

    def check(about: Mapping[str, Any]) -> None:
        check_same_run(run.path, config, about["config"])
        if about["labels"] != fingerprint:
            raise UserError(
                f"--resume: {quoted(run.path)} was trained on other images; pass the"
                " --dataroot it had, or choose another --name."
            )

    checkpoints = Checkpoints(
        run.path / "checkpoints",
        keep=config.keep_checkpoints,
        about={"config": asdict(config), "labels": fingerprint},
        check=check,
        notify=write_err,
    )
    return stack.enter_context(closing(checkpoints))


def _restore(checkpoints: Checkpoints, state: TrainState, run: RunFolder) -> TrainState:
    """Returns the state to go on from; `state` itself if the run has none yet.

    Raises:
        UserError: the run has checkpoints, and none can be restored.
    """
    with flags_for(folder="--resume", state="--resume"):
        restored = checkpoints.restore(state)
    if restored is state and run.saved_config is not None:
        raise run.no_checkpoint()  # the initial weights have not been read
    return restored


def announce(
    config: Config,
    run: RunFolder,
    dataset: Dataset,
    journal: Journal,
    *,
    devices: int,
    done: int,
) -> None:
    """Prints what runs, where, on how many devices, and from which step on."""
    train, test = (np.unique(s.labels) for s in (dataset.train, dataset.query))
    shared = len(np.intersect1d(train, test))
    of_test = (
        f"to test on, {shared} of them the same" if shared else "others to test on"
    )
    journal.notify(
        f"{dataset.name}: {len(train)} classes to train on, {len(test)} {of_test};"
        f" {config.arch}, {config.loss}; {f'{devices} devices; ' * (devices > 1)}"
        f"run folder {run.path}"
    )
    for note in run.notes:
        journal.notify(note)
    for note in dataset.notes:
        journal.notify(with_flags(note, names=[dataset.name]))
    if run.resumed and done:
        journal.notify(f"resumed after step {done}")
    elif config.resume:
        journal.notify("nothing to resume: a new run")
