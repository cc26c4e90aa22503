"""Logging to Weights & Biases, where it is installed."""

import hashlib
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jml._names import name_bytes, shown, utf8_path
from jml.app._config import Config
from jml.errors import UserError


def load_wandb() -> Any:
    """Returns the module ``wandb``; raises a UserError if it is not installed."""
    try:
        import wandb  # pyright: ignore[reportMissingImports]  # optional
    except ImportError:
        raise UserError(
            "--wandb: Weights & Biases is not installed; pip install wandb, or leave"
            " the flag out."
        ) from None
    return wandb


class WandbLog:
    """A run at Weights & Biases, named like the run's folder."""

    name = "wandb"

    def __init__(self, config: Config, path: Path, *, resumed: bool) -> None:
        """Resumes the run there, or starts it in place of an earlier one of its name.

        Raises:
            UserError: Weights & Biases is not installed, or there is no login.
        """
        self._opened = ExitStack()
        try:
            directory = self._opened.enter_context(utf8_path(path))
            settings = asdict(config).items()
            self._run = load_wandb().init(
                project=shown(config.wandb),
                id=_id_of(path.name),
                name=shown(path.name),
                dir=str(directory),
                config={k: shown(v) if isinstance(v, str) else v for k, v in settings},
                resume="allow" if resumed else None,
            )
        except UserError:
            raise
        except Exception as error:  # of many classes: no login, no network
            line = " ".join(str(error).split())
            raise UserError(
                f"--wandb: {line}; run wandb login, or leave it out."
            ) from None

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Sends scalars."""
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        """Sends what is left."""
        with self._opened:
            self._run.finish()


def _id_of(name: str) -> str:
    """Returns an id for a run: valid UTF-8, and different for each name."""
    plain = shown(name).replace(":", "-")
    if shown(name) == name:
        return plain
    return f"{plain}-{hashlib.sha256(name_bytes(name)).hexdigest()[:8]}"
