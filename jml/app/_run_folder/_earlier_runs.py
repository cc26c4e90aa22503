"""The runs that a folder holds already."""

import time
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jml.app._config import Config


def new_name(config: "Config") -> str:
    """For a run without a name of its own: what it is, and when it began."""
    return f"{_kind(config)}-{time.strftime('%Y%m%d-%H%M%S')}"


def latest_name(config: "Config") -> str | None:
    """The last run without a name of its own, to be resumed."""
    number = "[0-9]"
    when = f"{number * 8}-{number * 6}"
    runs = Path(config.checkpoints_path).glob(f"{escape(_kind(config))}-{when}*")
    return max(
        (run.name for run in runs if (run / "config.json").exists()), default=None
    )


def has_checkpoint(run: Path) -> bool:
    """Whether a run has finished one: until then its name is no number."""
    folder = run / "checkpoints"
    return folder.is_dir() and any(p.name.isdecimal() for p in folder.iterdir())


def _kind(config: "Config") -> str:
    parts = (config.dataset, config.loss, config.mining)
    return "-".join(part for part in parts if part).replace("/", "-")
