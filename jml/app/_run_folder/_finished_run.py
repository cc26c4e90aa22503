"""Reads what a run has left in its folder: configuration, metrics and weights."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from jml._names import quoted
from jml.app._config import Config, by_present_names
from jml.errors import UserError
from jml.models import Model, create

# The weights at the last evaluation, and at that with the highest Recall@1.
WEIGHTS = {"last": "weights.safetensors", "best": "best.safetensors"}


def read_config(folder: Path) -> Config:
    """Returns the configuration of a run; raises a UserError if there is none."""
    path = folder / "config.json"
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        return Config(**by_present_names(saved))
    except OSError as error:
        raise UserError(
            f"cannot read {quoted(path)}: {error.strerror}; pass the folder of a run."
        ) from None
    except (ValueError, TypeError, RecursionError) as error:
        raise UserError(
            f"{quoted(path)} is not the configuration of a run of this version: {error}"
        ) from None


def read_records(folder: Path) -> list[dict[str, Any]]:
    """Returns the lines of a run's metrics.jsonl; a damaged line is left out."""
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
    """Returns the network of a run; raises a UserError if it is not there.

    Args:
        folder: folder of the run.
        config: configuration of the run.
        which: "last" or "best" weights.
    """
    weights = folder / WEIGHTS[which]
    if not weights.is_file():
        raise UserError(
            f"{quoted(folder)} has no {weights.name}: the run has not come to its"
            " first evaluation; pass the folder of another run."
        )
    return create(
        config.arch,
        embedding_dim=config.embedding_dim,
        l2norm=config.l2norm,
        weights=str(weights),
    )
