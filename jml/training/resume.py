"""The checkpoints of a run, and which of them it may go on from."""

import hashlib
import sys
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import asdict
from typing import Any

import numpy as np
from jaxtyping import Int

from jml.errors import UserError

from .checkpoints import Checkpoints
from .config import Config
from .run_folder import RunFolder, check_same_run


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
