"""From an evaluation to a page and its pictures."""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
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
    POINTS,
    Items,
    as_arrays,
    choose_shown,
    confusions,
    look,
)
from ._embedding_map import embedding_map
from ._page import render
from ._page_data import (
    Map,
    class_table,
    cmc_points,
    item_table,
    metric_rows,
    readable,
    training_curves,
)
from ._pictures import FILES as PICTURE_FILES
from ._pictures import save_pictures
from ._thumbnails import sheets, thumbnails

PAGE, PICTURES = "report.html", "report"
FILES = (PAGE, *(f"{PICTURES}/{name}" for name in PICTURE_FILES))
PACKAGES = ("matplotlib", "PIL")


def missing_packages() -> str | None:
    """What to say where packages that a report needs are missing; else None."""
    return missing(*PACKAGES)


def write_report(
    folder: Path,
    title: str,
    query: Items,
    gallery: Items | None,
    found: Evaluation,
    *,
    class_names: Mapping[int, str] | None = None,
    metric: str = "euclidean",
    self_index: Int[np.ndarray, " n"] | None = None,
    records: Sequence[Mapping[str, Any]] = (),
    reproduce: Mapping[str, str],
    seed: int = 0,
    say: Callable[[str], None] = lambda line: None,
) -> Path:
    """Writes ``report.html``, whole in itself, and the folder ``report`` of pictures.

    Args:
        folder: where to, made if need be.
        title: of the page.
        query: what was searched for.
        gallery: what it was searched for in; None: among one another.
        found: from ``jml.evaluation.evaluate`` of these items.
        class_names: by label; classes without one go by their label.
        metric: the one of the evaluation,
        self_index: and its other argument that decides on neighbours.
        records: lines of a run's metrics.jsonl, for the training curves.
        reproduce: how to get there again: headings, and a text for each.
        seed: of what is drawn: the points of the map and, of many queries, those shown.
        say: told what is being done, a line each.

    Returns:
        The path of the page.

    Raises:
        UserError: matplotlib or Pillow is not installed.
        OSError: nothing can be written.
        IncompleteError: a part failed; all others are there, and of its own file an
            earlier one stays.
    """
    need("a report", *PACKAGES)
    attempts = Attempts()
    say("report: the nearest neighbours")
    records = readable(records)
    query, *rest = (as_arrays(part) for part in (query, gallery) if part is not None)
    gallery = rest[0] if rest else None
    looked = look(
        query, gallery, found, metric=metric, self_index=self_index, seed=seed
    )
    parts = [query, *rest]
    labels = concatenate_labels(*(part.labels for part in parts))
    known = np.unique(labels)
    classes = np.searchsorted(known, labels)
    chosen = choose_shown(looked, classes)
    confused = confusions(looked, classes)
    drawn = np.random.default_rng(seed).permutation(len(looked.rows))[:POINTS]
    say(f"report: a map of {len(drawn):,} embeddings")
    mapped = query.embeddings[looked.rows[drawn]]
    points_of = partial(embedding_map, mapped, metric=metric, seed=seed)
    map_of = None
    with attempts.at("the map by t-SNE"):
        map_of = Map(drawn, *points_of())
    map_of = map_of or Map(drawn, *points_of(tsne=False))

    say("report: the page and the pictures")
    queries = len(query.labels)
    data, items = item_table(looked, chosen, confused, map_of, classes, queries)
    small, encoded = None, []
    with attempts.at("the pictures of items in the report"):
        small = thumbnails(parts, items)
        encoded = sheets(small)
    data |= {
        "title": shown(title),
        "facts": _facts(query, gallery, found, metric, len(chosen)),
        "metrics": metric_rows(found),
        "confidence": found.confidence,
        "counted": found.queries,
        "training": training_curves(records),
        "cmc": cmc_points(found.cmc),
        "classes": class_table(found, known, class_names or {}),
        "reproduce": [(heading, shown(text)) for heading, text in reproduce.items()],
    }
    folder.mkdir(parents=True, exist_ok=True)
    # Made beside an earlier report, which stays whole until this one is.
    with TemporaryDirectory(prefix=".unfinished-", dir=folder) as place:
        unfinished = Path(place)
        with attempts.at(PAGE):
            page = render(data, encoded)
            (unfinished / PAGE).write_text(page, encoding="utf-8")
        with attempts.at(PICTURES):
            (folder / PICTURES).mkdir(exist_ok=True)
            save_pictures(unfinished / PICTURES, data, small, records, attempts)
        failed = attempts.problems
        for name in FILES:
            if name in failed or (name != PAGE and PICTURES in failed):
                continue
            with attempts.at(name):
                if (unfinished / name).exists():
                    os.replace(unfinished / name, folder / name)
                else:  # an earlier report had one
                    (folder / name).unlink(missing_ok=True)
    attempts.check()
    return folder / PAGE


def _facts(
    query: Items, gallery: Items | None, found: Evaluation, metric: str, shown: int
) -> list[tuple[str, str]]:
    facts = [("queries", f"{found.queries:,}")]
    if gallery is not None:
        facts.append(("gallery", f"{len(gallery.labels):,}"))
    classes = len(found.class_labels)
    facts.append(("classes" if classes > 1 else "class", f"{classes:,}"))
    facts.append(("embedding", f"{query.embeddings.shape[1]} numbers, {metric}"))
    if found.left_out:
        facts.append(("left out, none of their class to find", f"{found.left_out:,}"))
    if query.groups is not None:
        what = "items of the query's class and group"
        facts.append(("left out of each ranking", what))
    if shown < found.queries:
        facts.append(("shown below", f"{shown:,} queries"))
    return facts
