"""What it takes to claim a folder: its name, the runs that are there, and a lock."""

import os
import time
from glob import escape
from pathlib import Path

from jml._names import quoted
from jml.app._config import Config
from jml.errors import UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


def new_name(config: Config) -> str:
    """Returns a name for a run that was given none: what it is, and when it began."""
    return f"{_kind(config)}-{time.strftime('%Y%m%d-%H%M%S')}"


def latest_name(config: Config) -> str | None:
    """Returns the name of the latest run that was given none, to resume it."""
    digit = "[0-9]"
    when = f"{digit * 8}-{digit * 6}"
    runs = Path(config.checkpoints_path).glob(f"{escape(_kind(config))}-{when}*")
    return max(
        (run.name for run in runs if (run / "config.json").exists()), default=None
    )


def has_checkpoint(run: Path) -> bool:
    """Returns whether a run has a complete checkpoint: its name is a number."""
    folder = run / "checkpoints"
    return folder.is_dir() and any(p.name.isdecimal() for p in folder.iterdir())


def _kind(config: Config) -> str:
    parts = (config.dataset, config.loss, getattr(config, "mining", None))
    return "-".join(part for part in parts if part).replace("/", "-")


def lock_folder(path: Path) -> int | None:
    """Locks a folder, so that no other run writes it.

    The lock ends when the descriptor that is returned is closed, and however the
    process ends. Some network file systems have no locks: there the user has to see
    that no two runs have one name.

    Raises:
        UserError: another process has locked the folder.
    """
    if fcntl is None:
        return None
    lock = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise UserError(
            f"--name: another run is writing {quoted(path)}; wait for its end, or"
            " choose another --name."
        ) from None
    except OSError:
        pass
    return lock
