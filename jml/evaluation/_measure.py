"""The retrieval metrics of each query of a search."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from jaxtyping import Integer as Int

from ._inputs import check_neighbour_count, to_numpy
from ._ranking import Progress, Search, relevant_ranks
from ._retrieval import retrieval_metrics

DEFAULT_KS = (1, 2, 4, 8)


class QueryMetrics(NamedTuple):
    """The retrieval metrics of the queries that have a relevant item."""

    queries: Int[np.ndarray, " q"]  # in ascending order
    names: list[str]  # of the metrics
    values: Float[np.ndarray, "q m"]
    first: Int[np.ndarray, " q"]  # rank of the nearest relevant item, from 0


def measure(
    name: str,
    search: Search,
    *,
    ks: Sequence[int] | int | None,
    map_ks: Sequence[int] | int,
    progress: Progress,
) -> QueryMetrics:
    """Measures each query; raises the ValueErrors of the public function `name`."""
    ks = checked_ks(name, "ks", ks, search)
    map_ks = checked_ks(name, "map_ks", map_ks, search)
    queries, first, parts = [], [], []
    for chunk, ranks in relevant_ranks(search, progress=progress):
        relevant = np.sum(ranks < len(search.gallery_classes), axis=1)
        parts.append(retrieval_metrics(ranks, relevant, ks=ks, map_ks=map_ks))
        queries.append(chunk)
        first.append(ranks[:, 0].copy())  # a view would keep all ranks in memory
    check_any_relevant(name, queries)
    order = np.argsort(np.concatenate(queries))
    names = list(parts[0])
    columns = [np.concatenate([part[metric] for part in parts]) for metric in names]
    return QueryMetrics(
        np.concatenate(queries)[order],
        names,
        np.stack([column[order] for column in columns], axis=1),
        np.concatenate(first)[order],
    )


def checked_ks(name: str, argument: str, ks: Any, search: Search) -> list[int]:
    """Returns the numbers of neighbours as a list, by default those of `DEFAULT_KS`.

    Raises:
        ValueError: one is no integer from 1 to the number of items to find.
    """
    if ks is None:
        return [k for k in DEFAULT_KS if k <= search.neighbours]
    if isinstance(ks, Iterable) and not hasattr(ks, "shape"):
        ks = list(ks)
    values = to_numpy(ks)
    numbers: list[Any] = np.atleast_1d(values).tolist() if values.ndim < 2 else [ks]
    for k in numbers:
        check_neighbour_count(name, f"each of `{argument}`", k, search.neighbours)
    return numbers


def check_any_relevant(name: str, parts: Sequence[np.ndarray]) -> None:
    """Raises a ValueError if no query has a relevant item."""
    if not parts:
        raise ValueError(f"{name}: no query has another item of its class to find")
