"""Logging to Weights & Biases, where it is installed."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jml.errors import UserError

from .config import Config


def load_wandb() -> Any:
    """Its module; a UserError where it is not installed."""
    try:
        import wandb
    except ImportError:
        raise UserError(
            "--wandb: Weights & Biases is not installed; pip install wandb, or leave"
            " the flag out."
        ) from None
    return wandb


class WandbLog:
    """A run there with the name of the run folder; resuming goes on with it."""

    def __init__(self, config: Config, path: Path, *, resumed: bool) -> None:
        """Starts or resumes it. One that is not resumed replaces an earlier one.

        Raises:
            UserError: Weights & Biases is not installed, or does not let us in.
        """
        try:
            self._run = load_wandb().init(
                project=config.wandb,
                id=path.name.replace(":", "-"),
                name=path.name,
                dir=str(path),
                config=asdict(config),
                resume="allow" if resumed else None,
            )
        except UserError:
            raise
        except Exception as error:  # its own kinds: no login, no network
            line = " ".join(str(error).split())
            raise UserError(
                f"--wandb: {line}; run wandb login, or leave it out."
            ) from None

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Sends scalars."""
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        """Sends what is left."""
        self._run.finish()
