"""The folder and the checkpoints of a run, and which of them it may go on from."""

import hashlib
import sys
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jml.data import Dataset
from jml.errors import UserError

from ._together import check_same_run
from .checkpoints import Checkpoints
from .config import Config
from .distributed import tell, together
from .run_folder import RunFolder


def claim_folder(config: Config) -> RunFolder:
    """The run's folder, which process 0 finds and writes for all."""
    run = None
    with together():
        if jax.process_index() == 0:
            run = RunFolder.claim(config)
    path, resumed = tell([str(run and run.path), run and run.resumed])
    return run or RunFolder(Path(path), resumed=resumed, ours=False)


def checkpoints_of(
    stack: ExitStack, config: Config, run: RunFolder, dataset: Dataset
) -> Checkpoints:
    """Opens the checkpoints of a run until `stack` ends.

    Only those of the same configuration, of the fields that decide the weights, and of
    the same classes and training labels are restored.
    """
    digest = hashlib.sha256(np.ascontiguousarray(dataset.train.labels).tobytes())
    digest.update("\0".join(map(str, dataset.class_names)).encode())
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
        say=lambda line: print(line, file=sys.stderr, flush=True),
    )
    return stack.enter_context(closing(checkpoints))
