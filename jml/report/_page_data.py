"""The data of the page, as lists, numbers and strings for JSON."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from unicodedata import normalize

import numpy as np
from jaxtyping import Int

from jml._names import shown
from jml.evaluation import Evaluation

from ._contents import SHOWN, Confusion, EmbeddedImages, SearchResults
from ._embedding_map import Map
from ._suspicious import Suspicious

MEANINGS = {
    "recall@": "queries with an item of their class among the first {k}",
    "map": "mean average precision over the whole ranking",
    "map@r": "average precision among the first R items, for R relevant items",
    "r_precision": "fraction of the first R items that is relevant",
    "mrr": "mean of 1 / rank of the first relevant item",
    "map@": "average precision among the first {k}, over min(R, {k})",
    "map_relevant@": "average precision among the first {k}, over R",
    "map_hits@": "average precision among the first {k}, over the hits among them",
    "nmi": "normalised mutual information of classes and k-means clusters",
    "ami": "mutual information of classes and k-means clusters, adjusted for chance",
}


def item_table(
    results: SearchResults,
    shown: Int[np.ndarray, " s"],
    confused: Sequence[Confusion],
    doubtful: Sequence[Suspicious],
    mapped: Int[np.ndarray, " p"],
    classes: Int[np.ndarray, " n"],
    queries: int,
) -> tuple[dict[str, Any], Int[np.ndarray, " m"]]:
    """The parts of the data that refer to items, and the items.

    The data number these items alone, from 0. The points of the map are not there yet:
    `add_map` adds them.
    """
    examples = [item for pair in confused for item in pair.example]
    examples += [item for one in doubtful for item in (one.item, *one.neighbours)]
    near, rows = results.neighbours[shown, :SHOWN], results.queries
    used = [rows[shown], near.ravel(), np.array(examples, int), rows[mapped]]
    items = np.unique(np.concatenate(used))

    def place(numbers: Any) -> list:
        return np.searchsorted(items, numbers).tolist()

    data = {
        "items": {
            "class": classes[items].tolist(),
            "number": np.where(items < queries, items, items - queries).tolist(),
            "searched": (items >= queries).tolist(),
        },
        "queries": {
            "item": place(rows[shown]),
            "precision": results.precision[shown].tolist(),
            "neighbours": place(near),
            "right": results.right[shown, :SHOWN].astype(int).tolist(),
        },
        "map": {
            "method": "",
            "item": place(rows[mapped]),
            "points": [],
            "right": results.right[mapped, 0].astype(int).tolist(),
        },
        "confusions": [
            {
                "classes": pair.classes,
                "total": pair.total,
                "queries": pair.queries,
                "example": place(pair.example),
            }
            for pair in confused
        ],
        "suspicious": [
            {
                "item": place(one.item),
                "neighbours": place(one.neighbours),
                "right": (classes[[*one.neighbours]] == classes[one.item]).tolist(),
                "same": one.same,
                "other": one.other,
                "others": one.others,
            }
            for one in doubtful
        ],
    }
    return data, items


def add_map(data: Mapping[str, Any], map_of: Map) -> None:
    """Adds the points of the map."""
    data["map"]["method"] = map_of.method
    data["map"]["points"] = map_of.points.tolist()


def metric_rows(evaluation: Evaluation) -> list[tuple[str, float, float, float, str]]:
    """Name, value, ends of the interval, and meaning of each metric."""
    rows = []
    for name, value in evaluation.metrics.items():
        if name == "precision@1":  # equals Recall@1
            continue
        stem, at, k = name.partition("@")
        meaning = MEANINGS.get(name) or MEANINGS[stem + at].format(k=k)
        low, high = evaluation.intervals.get(name, (value, value))
        rows.append((name, value, low, high, meaning))
    return rows


def class_table(
    evaluation: Evaluation, labels: Int[np.ndarray, " c"], names: Mapping[int, str]
) -> dict[str, list]:
    """Columns of the table of classes; None for a class without a measured query."""
    place = {label: i for i, label in enumerate(evaluation.class_labels.tolist())}
    rows = [place.get(label) for label in labels.tolist()]

    def column(values: np.ndarray) -> list[float | None]:
        return [
            None if i is None or np.isnan(values[i]) else float(values[i]) for i in rows
        ]

    return {
        "name": unique_names(labels.tolist(), names),
        "queries": [0 if i is None else int(evaluation.class_queries[i]) for i in rows],
        "recall": column(evaluation.per_class["precision@1"]),
        "map": column(evaluation.per_class["map"]),
    }


def unique_names(labels: Sequence[int], names: Mapping[int, str]) -> list[str]:
    r"""A name for each class, on one line, by which the page finds the class.

    Names that look alike get their labels appended: names that differ in spaces, in
    bytes that are not UTF-8, or in the code points of a letter.

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
    # Repeated, because "wren (0)" may be a name, too.
    while len(times := Counter(lines)) < len(lines):
        lines = [
            line if times[line] == 1 else f"{line} ({label})"
            for label, line in zip(labels, lines, strict=True)
        ]
    return lines


def facts(
    query: EmbeddedImages,
    gallery: EmbeddedImages | None,
    evaluation: Evaluation,
    metric: str,
    shown: int,
) -> list[tuple[str, str]]:
    """What stands below the title: words, and the value before them."""
    lines = [("queries", f"{evaluation.queries:,}")]
    if gallery is not None:
        lines.append(("gallery", f"{len(gallery.labels):,}"))
    classes = len(evaluation.class_labels)
    lines.append(("classes" if classes > 1 else "class", f"{classes:,}"))
    lines.append(("embedding", f"{query.embeddings.shape[1]} numbers, {metric}"))
    if evaluation.left_out:
        what = "left out, without another item of their class"
        lines.append((what, f"{evaluation.left_out:,}"))
    if query.groups is not None:
        excluded = "items of the query's class and group"
        lines.append(("left out of each ranking", excluded))
    if shown < evaluation.queries:
        lines.append(("shown below", f"{shown:,} queries"))
    return lines
