"""From an evaluation to a page and its plots."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from jaxtyping import Int

from jml._attempts import Attempts
from jml._labels import concatenate_labels
from jml._names import shown
from jml._optional import missing, need
from jml.evaluation import Evaluation

from ._contents import (
    MAX_POINTS,
    EmbeddedImages,
    as_arrays,
    check_report,
    choose_shown,
    confusions,
    search_neighbours,
)
from ._curves import cmc_points, readable, training_curves
from ._embedding_map import Map, begin_map
from ._page import render
from ._page_data import (
    add_map,
    class_table,
    facts,
    item_table,
    metric_rows,
)
from ._plots import PLOTS, VERIFICATION, save_plots
from ._same_or_not import verification_curves
from ._suspicious import suspicious
from ._thumbnails import sheets, thumbnails

PAGE, FOLDER = "report.html", "report"
FILES = (PAGE, *(f"{FOLDER}/{name}" for name in PLOTS))
PACKAGES = ("matplotlib", "PIL")


def missing_packages() -> str | None:
    """Names the missing packages that a report needs, and how to install them."""
    return missing(*PACKAGES)


def write_report(
    folder: Path,
    title: str,
    query: EmbeddedImages,
    gallery: EmbeddedImages | None,
    evaluation: Evaluation,
    *,
    class_names: Mapping[int, str] | None = None,
    metric: str = "euclidean",
    self_index: Int[np.ndarray, " n"] | None = None,
    records: Sequence[Mapping[str, Any]] = (),
    reproduce: Mapping[str, str],
    seed: int = 0,
    notify: Callable[[str], None] = lambda line: None,
) -> Path:
    """Writes the page ``report.html`` and the folder ``report`` of plots.

    The page holds all it shows, images included.

    Args:
        folder: folder to write to; it is made if need be.
        title: title of the page.
        query: the queries.
        gallery: the gallery; None where the queries were searched among themselves.
        evaluation: what ``jml.evaluation.evaluate`` returned for them.
        class_names: name of each label; a class without a name shows its label.
        metric: the `metric` that ``evaluate`` was called with.
        self_index: the `self_index` that ``evaluate`` was called with.
        records: the lines of a run's metrics.jsonl, for the training curves.
        reproduce: headings and texts that tell how to reproduce the report.
        seed: seed of the map's points and, where there are very many queries, of the
            selection shown.
        notify: called with a line of text at the beginning of each part.

    Returns:
        The path of the page.

    Raises:
        UserError: matplotlib or Pillow is not installed.
        OSError: nothing can be written.
        IncompleteError: a part failed. All other parts are written; in place of the
            failed one an earlier report's file stays.
    """
    check_report(folder, query, evaluation, seed, notify)
    need("a report", *PACKAGES)
    attempts, records = Attempts(), readable(records)
    notify("report: the nearest neighbours")
    query, gallery = as_arrays("query", query), as_arrays("gallery", gallery)
    sides = [query] if gallery is None else [query, gallery]
    results = search_neighbours(
        query, gallery, evaluation, metric=metric, self_index=self_index, seed=seed
    )
    labels = concatenate_labels(*(np.asarray(side.labels) for side in sides))
    distinct = np.unique(labels)
    classes = np.searchsorted(distinct, labels)
    chosen = choose_shown(results, classes)
    drawn = np.random.default_rng(seed).permutation(len(results.queries))[:MAX_POINTS]
    notify(f"report: a map of {len(drawn):,} embeddings")
    map_of = begin_map(query, results, drawn, metric, attempts)

    notify("report: the page and the plots")
    confused, queries = confusions(results, classes), len(query.labels)
    doubtful = suspicious(results, classes)
    data, items = item_table(
        results, chosen, confused, doubtful, drawn, classes, queries
    )
    small, encoded = None, []
    with attempts.at("the images in the report"):
        small = thumbnails(sides, items)
        encoded = sheets(small)
    notify("report: the curves of same or not")
    data["verification"] = None
    with attempts.at(f"{FOLDER}/{VERIFICATION}"):
        data["verification"] = verification_curves(
            query, gallery, metric=metric, self_index=self_index, seed=seed
        )
    data |= _numbers(evaluation, records)
    data |= {
        "title": shown(title),
        "facts": facts(query, gallery, evaluation, metric, len(chosen)),
        "classes": class_table(evaluation, distinct, class_names or {}),
        "reproduce": [(heading, shown(text)) for heading, text in reproduce.items()],
    }
    _write_files(folder, data, small, encoded, records, map_of, attempts)
    attempts.check()
    return folder / PAGE


def _write_files(
    folder: Path,
    data: Mapping[str, Any],
    small: np.ndarray | None,
    encoded: Sequence[str],
    records: Sequence[Mapping[str, Any]],
    map_of: Callable[[], Map],
    attempts: Attempts,
) -> None:
    """Writes page and plots beside an earlier report's, and then in their place.

    So an earlier report stays whole until this one is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".unfinished-", dir=folder) as place:
        unfinished = Path(place)
        with attempts.at(FOLDER):
            (folder / FOLDER).mkdir(exist_ok=True)
            save_plots(unfinished / FOLDER, data, small, records, map_of, attempts)
        with attempts.at(PAGE):
            add_map(data, map_of())
            page = render(data, encoded)
            (unfinished / PAGE).write_text(page, encoding="utf-8")
        failed = attempts.problems
        for name in FILES:
            if name in failed or (name != PAGE and FOLDER in failed):
                continue
            with attempts.at(name):
                if (unfinished / name).exists():
                    os.replace(unfinished / name, folder / name)
                else:  # this report has no such plot: remove an earlier report's
                    (folder / name).unlink(missing_ok=True)


def _numbers(
    evaluation: Evaluation, records: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The parts of the data that come from the evaluation and the records alone."""
    return {
        "metrics": metric_rows(evaluation),
        "confidence": evaluation.confidence,
        "counted": evaluation.queries,
        "training": training_curves(records),
        "cmc": cmc_points(evaluation.cmc),
    }
