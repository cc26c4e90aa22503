"""The folder and the checkpoints of a run, and which of them it may go on from."""

import hashlib
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jml._names import name_bytes
from jml._output import write_err
from jml.app._config import Config
from jml.app._config._consistency import check_same_run
from jml.app._distributed import tell, together
from jml.data import Dataset
from jml.errors import UserError
from jml.training import Checkpoints, TrainState

from ._run_folder import RunFolder


def claim_folder(config: Config) -> tuple[RunFolder, Config]:
    """The run's folder, which process 0 finds and writes for all, and what to run.

    That is `config`, but for what the checkpoints in the folder settle.
    """
    run = None
    with together():
        if jax.process_index() == 0:
            run = RunFolder.claim(config)
    path, resumed, saved = tell(
        [str(run and run.path), run and run.resumed, run and run.saved]
    )
    run = run or RunFolder(Path(path), resumed=resumed, ours=False)
    run.saved = saved
    if saved is None:
        return run, config
    settled = config.resumed_from(saved)
    if "weights" not in config.filled and config.weights != settled.weights:
        run.notes += (
            f"--weights {config.weights} is ignored: the checkpoint holds all"
            f" parameters of the run, which began with {settled.weights}",
        )
    return run, settled


def restore(checkpoints: Checkpoints, state: TrainState, run: RunFolder) -> TrainState:
    """The state that the run goes on from; `state` itself where it begins.

    Raises:
        UserError: it should go on from a checkpoint, and there is none to be had.
    """
    found = checkpoints.restore(state)
    if found is state and run.saved is not None:  # its weights have not been read
        raise run.lacks_checkpoint()
    return found


def checkpoints_of(
    stack: ExitStack, config: Config, run: RunFolder, dataset: Dataset
) -> Checkpoints:
    """Opens the checkpoints of a run until `stack` ends.

    Only those of the same configuration, of the fields that decide the weights, and of
    the same classes and training labels are restored.
    """
    digest = hashlib.sha256(np.ascontiguousarray(dataset.train.labels).tobytes())
    digest.update(name_bytes("\0".join(map(str, dataset.class_names))))
    fingerprint = digest.hexdigest()

    def check(about: Mapping[str, Any]) -> None:
        check_same_run(run.path, config, about["config"])
        if about["labels"] != fingerprint:
            raise UserError(
                f"--resume: {str(run.path)!r} was trained on other images; pass the"
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
