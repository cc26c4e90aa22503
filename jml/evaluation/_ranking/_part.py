"""A level of which each process holds its part of the gallery.

Classes, ids and groups of all items are known in every process, so all of them know the
targets of a query, which parts they are in, and how the gallery is sorted. Each process
counts the items of its part. Counts add up to ranks.

A batch of queries is a search of its own, of the queries and the part. In it, queries
are counted from the first of the batch, and items from the first of the part: those of
earlier parts have negative numbers. So their order is that of the whole gallery.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Integer as Int

from ._layout import SortedGallery, relevant_places
from ._level import Level, Targets, lay_out
from ._search import Search
from ._spread_vectors import SpreadVectors


class Part(NamedTuple):
    """The part of this process, on its devices, and what is known of the whole."""

    search: Search
    layout: SortedGallery
    vectors: SpreadVectors
    dtype: np.dtype
    level: Level  # without queries
    places: Int[np.ndarray, " m"]  # in the part, of the places in the whole; -1: none

    def of_batch(
        self, queries: Int[np.ndarray, " q"]
    ) -> tuple[Level, Int[np.ndarray, " q"], Targets]:
        """A level for these queries, which they are in it, and their targets."""
        vectors = self.vectors.of_queries(queries)
        level = self.level._replace(
            search=_search_of_part(self.search, vectors, queries),
            products=vectors.products(self.dtype),
        )
        places = relevant_places(self.search, self.layout, queries)
        valid = places >= 0
        items = self.layout.order[places] - vectors.start
        targets = Targets(items, np.where(valid, self.places[places], -1), valid)
        return level, np.arange(len(queries)), targets


def make_part(
    search: Search,
    layout: SortedGallery,
    vectors: SpreadVectors,
    dtype: np.dtype,
    nearest_only: bool,
) -> Part:
    """Prepares products in this dtype, and puts the part on the devices."""
    here = layout.order - vectors.start
    inside = (here >= 0) & (here < len(vectors.y))
    places = np.where(inside, np.cumsum(inside) - 1, -1).astype(np.int32)
    nobody = np.empty(0, int)
    part, none = _search_of_part(search, vectors, nobody), vectors.of_queries(nobody)
    products, size = none.products(dtype), len(layout.order)
    level = lay_out(part, here[inside], products, size, nearest_only)
    return Part(search, layout, vectors, dtype, level, places)


def _search_of_part(
    search: Search, vectors: SpreadVectors, queries: Int[np.ndarray, " q"]
) -> Search:
    """The search of these queries in the part."""
    part = slice(vectors.start, vectors.start + len(vectors.y))
    return search._replace(
        vectors=vectors,
        classes=search.classes[queries],
        gallery_classes=search.gallery_classes[part],
        excluded=search.excluded.among(queries, part),
    )
