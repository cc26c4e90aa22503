"""The points of the page's curves, as lists for JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

CURVE = 400  # points of a curve, about one a pixel


def cmc_points(cmc: Float[np.ndarray, " k"]) -> list[tuple[int, float]]:
    """Points of the CMC curve, evenly spaced on a logarithmic axis."""
    size = len(cmc)
    ranks = np.unique(np.geomspace(1, size, min(size, CURVE)).round().astype(int))
    return [(int(k), float(cmc[k - 1])) for k in ranks]


def readable(records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The records whose numbers are finite numbers; a file may hold anything."""
    return [
        record
        for record in records
        if all(
            isinstance(record[name], int | float) and np.isfinite(record[name])
            for name in ("step", "loss", "recall@1")
            if name in record
        )
    ]


def training_curves(records: Sequence[Mapping[str, Any]]) -> dict[str, list]:
    """Loss and Recall@1 over the steps, from the lines of a run's metrics.jsonl."""
    losses = [(r["step"], r["loss"]) for r in records if "loss" in r]
    chunks = np.array_split(np.array(losses), min(len(losses), CURVE) or 1)
    recalls = [r for r in records if "recall@1" in r]
    return {
        "loss": [(int(c[-1, 0]), float(c[:, 1].mean())) for c in chunks if len(c)],
        "recall": [(r["step"], r["recall@1"]) for r in recalls if "step" in r],
        "baselines": [
            (str(r["baseline"]), r["recall@1"]) for r in recalls if "baseline" in r
        ],
    }
