"""What the page is given: plain lists and numbers, as JSON has them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from unicodedata import normalize

import numpy as np
from jaxtyping import Float, Int

from jml._names import shown
from jml.evaluation import Evaluation

from ._contents import Confusion, Looked

CURVE = 400  # points of a curve: about as many as pixels
MEANINGS = {
    "recall@": "queries with an item of their class among the first {k}",
    "map": "mean average precision over the whole ranking",
    "map@r": "average precision among the first R, of R relevant items",
    "r_precision": "how many of the first R are relevant",
    "mrr": "mean of 1 / rank of the first relevant item",
    "map@": "average precision among the first {k}, over min(R, {k})",
    "map_relevant@": "the same over R, all relevant items",
    "map_hits@": "the same over the hits among the first {k}",
    "nmi": "mutual information of classes and k-means clusters, normalised",
    "ami": "the same, adjusted for chance",
}


class Map(NamedTuple):
    """Where the map has some of the queries that were looked at."""

    drawn: Int[np.ndarray, " p"]
    points: Float[np.ndarray, "p 2"]  # from 0 to 1
    method: str


def item_table(
    looked: Looked,
    shown: Int[np.ndarray, " s"],
    confused: Sequence[Confusion],
    map_of: Map,
    classes: Int[np.ndarray, " n"],
    queries: int,
) -> tuple[dict[str, Any], Int[np.ndarray, " m"]]:
    """What refers to items, which are numbered anew, and which items these are."""
    examples = [item for pair in confused for item in pair.example]
    near, rows = looked.neighbours[shown], looked.rows
    items = [rows[shown], near.ravel(), examples, rows[map_of.drawn]]
    items = np.unique(np.concatenate(items).astype(int))

    def place(these: Any) -> list:
        return np.searchsorted(items, these).tolist()

    data = {
        "items": {
            "class": classes[items].tolist(),
            "number": np.where(items < queries, items, items - queries).tolist(),
            "searched": (items >= queries).tolist(),
        },
        "queries": {
            "item": place(rows[shown]),
            "precision": looked.precision[shown].tolist(),
            "neighbours": place(near),
            "right": looked.right[shown].astype(int).tolist(),
        },
        "map": {
            "method": map_of.method,
            "item": place(rows[map_of.drawn]),
            "points": map_of.points.round(4).tolist(),
            "right": looked.right[map_of.drawn, 0].astype(int).tolist(),
        },
        "confusions": [
            {
                "classes": pair.classes,
                "count": pair.count,
                "queries": pair.queries,
                "example": place(pair.example),
            }
            for pair in confused
        ],
    }
    return data, items


def metric_rows(found: Evaluation) -> list[tuple[str, float, float, float, str]]:
    """Name, value, both ends of the interval, and meaning of each metric."""
    rows = []
    for name, value in found.metrics.items():
        if name == "precision@1":  # Recall@1 is there already
            continue
        stem, at, k = name.partition("@")
        meaning = MEANINGS.get(name) or MEANINGS[stem + at].format(k=k)
        low, high = found.intervals.get(name, (value, value))
        rows.append((name, value, low, high, meaning))
    return rows


def class_table(
    found: Evaluation, labels: Int[np.ndarray, " c"], names: Mapping[int, str]
) -> dict[str, list]:
    """Columns of what is known of each class; None where no query of it was counted."""
    place = {label: i for i, label in enumerate(found.class_labels.tolist())}
    rows = [place.get(label) for label in labels.tolist()]

    def column(values: np.ndarray) -> list[float | None]:
        return [
            None if i is None or np.isnan(values[i]) else float(values[i]) for i in rows
        ]

    return {
        "name": unique_names(labels.tolist(), names),
        "queries": [0 if i is None else int(found.class_queries[i]) for i in rows],
        "recall": column(found.per_class["precision@1"]),
        "map": column(found.per_class["map"]),
    }


def unique_names(labels: Sequence[int], names: Mapping[int, str]) -> list[str]:
    r"""One line for each class and none twice, for the page to find classes by name.

    Names that look alike, because they are not UTF-8 or of other code points, have
    their labels with them.

    >>> unique_names([0, 1, 2, 3], {0: "wren", 1: " wren ", 2: ""})
    ['wren (0)', 'wren (1)', '2', '3']
    >>> print(*unique_names([0, 1], {0: "caf\udce8", 1: "caf\udce9"}))
    caf� (0) caf� (1)
    """
    lines = [" ".join(shown(names.get(label, "")).split()) for label in labels]
    lines = [
        normalize("NFC", line) or str(label)
        for label, line in zip(labels, lines, strict=True)
    ]
    while len(times := Counter(lines)) < len(lines):  # "wren (0)" may be a name, too
        lines = [
            line if times[line] == 1 else f"{line} ({label})"
            for label, line in zip(labels, lines, strict=True)
        ]
    return lines


def cmc_points(cmc: Float[np.ndarray, " k"]) -> list[tuple[int, float]]:
    """The CMC curve at ranks that are spread evenly on a logarithmic axis."""
    size = len(cmc)
    ranks = np.unique(np.geomspace(1, size, min(size, CURVE)).round().astype(int))
    return [(int(k), float(cmc[k - 1])) for k in ranks]


def readable(records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The records whose numbers are numbers: files may hold anything."""
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
