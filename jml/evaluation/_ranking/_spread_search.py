"""The arguments of a search whose gallery is spread over processes.

Labels, ids and groups are gathered: every process knows those of the whole gallery, and
so which items are relevant to a query and which are left out. Embeddings stay.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jml._checks import check_choice
from jml._evaluation_limits import METRICS
from jml._labels import concatenate_labels
from jml.evaluation._inputs import (
    check_columns,
    checked_embeddings,
    checked_labels,
    to_numpy,
)

from ._processes import check_same, gather, raise_together
from ._spread_vectors import SpreadVectors

ALIKE = (
    "the same options and, with a `gallery`, the same queries; only the gallery (or,"
    " without one, the items) is in parts"
)


def make_spread_vectors(
    name: str, embeddings: Any, gallery: Any, metric: str
) -> SpreadVectors:
    """Checks queries and gallery, of which each process passes a part.

    Raises:
        ValueError: in all processes, where the arguments of one are wrong, or where
            they do not go together.
    """
    with raise_together():
        check_choice(name, "metric", metric, METRICS)
        least = int(gallery is not None)  # parts may be empty
        x = y = checked_embeddings(name, "embeddings", embeddings, least=least)
        if gallery is not None:
            y = checked_embeddings(name, "gallery", gallery, least=0).view()
            check_columns(name, y, x)
    check_same(name, ALIKE, metric, x.shape[1], None if gallery is None else x)
    vectors = SpreadVectors(x, y, metric)
    if not vectors.sizes[1]:
        argument = "embeddings" if gallery is None else "gallery"
        raise ValueError(f"{name}: `{argument}` must hold an item, in any process")
    return vectors


def gather_numbers(
    name: str,
    vectors: SpreadVectors,
    of_queries: Mapping[str, Any],
    of_items: Mapping[str, Any],
    *alike: Any,
) -> tuple[list[Any], list[Any]]:
    """Checks labels, ids and groups by name, and gathers those that are in parts.

    Args:
        name: the public function, for its errors.
        vectors: queries and gallery.
        of_queries: of the rows of `vectors.x`; None where there are none.
        of_items: of the rows of `vectors.y`.
        alike: other arguments that all processes pass alike.

    Returns:
        Those of all queries, and then those of the whole gallery.
    """
    among_themselves = vectors.x is vectors.y
    with raise_together():
        queries, items = (
            [v if v is None else checked_labels(name, k, v, len(rows)) for k, v in part]
            for part, rows in (
                (of_queries.items(), vectors.x),
                (of_items.items(), vectors.y),
            )
        )
    which = [value is None for value in (*queries, *items)]
    others = [value if value is None else to_numpy(value) for value in alike]
    check_same(name, ALIKE, which, *others, *([] if among_themselves else queries))
    if among_themselves:
        queries = [_whole(values) for values in queries]
    return queries, [_whole(values) for values in items]


def _whole(part: np.ndarray | None) -> np.ndarray | None:
    return None if part is None else concatenate_labels(*gather(part))
