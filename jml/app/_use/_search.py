"""The nearest images of each query: a table and, if it is wanted, a page."""

import os
import stat
from argparse import Namespace
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float32

from jml._names import on_one_line, quoted
from jml._output import write_err, write_out
from jml._whole_files import writing
from jml.errors import UserError
from jml.evaluation import Neighbours, nearest_neighbours
from jml.inference import Embeddings, TrainedModel
from jml.report import Picture, PictureRow, write_picture_page

from ._gallery import metric_of
from ._searched import Searched, searched_file, searched_run

ENTRIES = 10**6  # of a table of neighbours that is in memory at once
MOST_PROBLEMS = 20  # queries that an error line names


def search(options: Namespace, of_run: bool) -> None:
    """Searches, and prints the table."""
    if of_run:
        searched = searched_run(options, write_err)
    else:
        searched = searched_file(options)
    embeddings = searched.embeddings
    metric = metric_of(options.what, embeddings, options.metric)
    vectors = embed_queries(searched.model, embeddings, options.queries)
    top, total = min(options.top, len(embeddings.paths)), len(embeddings.paths)
    rows: list[PictureRow] = []
    summary = f"{top:,} of {total:,} images, {metric} distance"
    for start, found in _found(vectors, embeddings, metric, top):
        for number, (indices, distances) in enumerate(zip(*found, strict=True), start):
            query = options.queries[number]
            blank = "\n" * (number > 0)
            table = _table(embeddings, indices, distances)
            write_out(f"{blank}{on_one_line(query)}: {summary}\n{table}")
            if options.html:
                rows.append(_row(query, searched, indices, distances, summary))
    if options.html:
        _write_page(options, rows, summary)


def embed_queries(
    model: TrainedModel, embeddings: Embeddings, queries: Sequence[str]
) -> Float32[np.ndarray, "q d"]:
    """Embeds the queries as the images that are searched.

    Raises:
        UserError: all queries that cannot be read.
    """
    problems = {query: problem for query in queries if (problem := _no_file(query))}
    files = [query for query in queries if query not in problems]
    precision = embeddings.model.get("precision")
    vectors = np.empty((len(files), model.dim), np.float32)
    for rows, values in model.embed_batches(
        files,
        bfloat16=None if precision is None else precision == "bfloat16",
        on_bad=lambda row, error: problems.setdefault(files[row], error.reason),
    ):
        vectors[rows] = values
    if problems:
        named = [f"{quoted(q)}: {why}" for q, why in problems.items()]
        more = len(named) - MOST_PROBLEMS
        named[MOST_PROBLEMS:] = [f"and {more:,} more"] * (more > 0)
        raise UserError(
            f"cannot read {len(problems):,} of {len(queries):,} queries:"
            f" {'; '.join(named)}; pass images."
        )
    return vectors


def _no_file(path: str) -> str | None:
    """Why it is not the name of a file, which a pipe or a folder is not, either."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)
    if stat.S_ISDIR(mode):
        return "a folder; pass the files in it"
    return None if stat.S_ISREG(mode) else "not a file"


def _found(
    vectors: np.ndarray, embeddings: Embeddings, metric: str, top: int
) -> Iterator[tuple[int, Neighbours]]:
    """The nearest images of some queries at a time; from which query on they are."""
    step = max(1, ENTRIES // top)
    for start in range(0, len(vectors), step):
        some = vectors[start : start + step]
        yield (
            start,
            nearest_neighbours(some, embeddings.vectors, k=top, metric=metric),
        )


def _table(embeddings: Embeddings, indices: np.ndarray, distances: np.ndarray) -> str:
    """Rank, distance, label if there are any, and path, which is never shortened."""
    columns = [["rank", *(f"{rank}" for rank in range(1, len(indices) + 1))]]
    columns.append(["distance", *map(distance_text, distances.tolist())])
    if embeddings.labels is not None:
        labels = (embeddings.labels[i] for i in indices.tolist())
        columns.append(["label", *(on_one_line(x or "") for x in labels)])
    paths = ["path", *(on_one_line(embeddings.paths[i]) for i in indices.tolist())]
    widths = [max(map(len, column)) for column in columns]
    lines = []
    for rank, distance, *label, path in zip(*columns, paths, strict=True):
        cells = [rank.rjust(widths[0]), distance.rjust(widths[1])]
        cells += [text.ljust(widths[2]) for text in label]
        lines.append("  ".join([*cells, path]))
    return "\n".join(lines)


def distance_text(distance: float) -> str:
    """A distance to print: six digits, however small it is."""
    return f"{distance:.6g}"


def _row(
    query: str,
    searched: Searched,
    indices: np.ndarray,
    distances: np.ndarray,
    summary: str,
) -> PictureRow:
    embeddings, pictures = searched.embeddings, [Picture(query, [query], lead=True)]
    for i, distance in zip(indices.tolist(), distances.tolist(), strict=True):
        lines = [embeddings.paths[i], f"distance {distance_text(distance)}"]
        label = embeddings.labels[i] if embeddings.labels else None
        lines += [] if label is None else [label]
        pictures.append(Picture(searched.picture_of(i), lines))
    return PictureRow(query, pictures, summary)


def _write_page(options: Namespace, rows: list[PictureRow], summary: str) -> None:
    with writing(options.html, "--html"):
        page = write_picture_page(
            options.html,
            f"Search in {options.what}",
            rows,
            facts=[f"{len(rows):,} queries", summary],
        )
    if page.unreadable:
        write_err(f"{page.unreadable:,} pictures cannot be read; the page says why")
    write_err(f"written: {options.html}")
