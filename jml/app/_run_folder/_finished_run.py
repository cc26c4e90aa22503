"""What a run has left in its folder, read again."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from jml.app._config import Config
from jml.errors import UserError
from jml.models import Model, create

# The network after the last evaluation, and after that with the highest Recall@1.
WEIGHTS = {"last": "weights.safetensors", "best": "best.safetensors"}


def read_config(folder: Path) -> Config:
    """The configuration of a run; a UserError where there is none."""
    path = folder / "config.json"
    try:
        return Config(**json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UserError(
            f"cannot read {str(path)!r}: {error.strerror}; pass the folder of a run."
        ) from None
    except (ValueError, TypeError, RecursionError) as error:
        raise UserError(
            f"{str(path)!r} is not the configuration of a run of this version: {error}"
        ) from None


def read_records(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's metrics.jsonl, as far as they can be read."""
    records = []
    try:
        text = (folder / "metrics.jsonl").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    for line in text.splitlines():
        with suppress(ValueError, RecursionError):
            record = json.loads(line)
            if isinstance(record, dict) and isinstance(record.get("step", 0), int):
                records.append(record)
    return records


def load_model(folder: Path, config: Config, *, which: str = "last") -> Model:
    """The network of a run; a UserError where it has not been written.

    Args:
        folder: of the run.
        config: of the run.
        which: a key of ``WEIGHTS``.
    """
    weights = folder / WEIGHTS[which]
    if not weights.is_file():
        raise UserError(
            f"{str(folder)!r} has no {weights.name}: the run has not come to its"
            " first evaluation; pass the folder of another run."
        )
    return create(
        config.arch,
        embedding_dim=config.embedding_dim,
        l2norm=config.l2norm,
        weights=str(weights),
    )
