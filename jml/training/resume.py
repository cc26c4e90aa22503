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
from jaxtyping import Int

from jml.errors import UserError

from ._together import check_same_run
from .checkpoints import Checkpoints
from .config import Config
from .distributed import tell
from .run_folder import RunFolder


def claim_folder(config: Config) -> RunFolder:
    """The run's folder, which process 0 finds and writes for all."""
    run, problem = None, None
    if jax.process_index() == 0:
        try:
            run = RunFolder.claim(config)
        except UserError as error:
            if jax.process_count() == 1:
                raise
            problem = str(error)
    path, resumed, problem = tell([str(run and run.path), run and run.resumed, problem])
    if problem:
        raise UserError(problem)
    return run or RunFolder(Path(path), resumed=resumed, ours=False)


def checkpoints_of(
    stack: ExitStack, config: Config, run: RunFolder, labels: Int[np.ndarray, " n"]
) -> Checkpoints:
    """Opens the checkpoints of a run until `stack` ends.

    Only those of the same configuration, of the fields that decide the weights, and of
    the same training labels are restored.
    """
    fingerprint = hashlib.sha256(np.ascontiguousarray(labels).tobytes()).hexdigest()

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
