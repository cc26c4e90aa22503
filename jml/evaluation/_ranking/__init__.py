"""The exact rank of every relevant item, and the nearest items of every query.

The modules, from the bottom up:

- `_numbering` and `_excluded`: what rankings leave out;
- `_lengths`, `_copies`, `_reach`, `_products` and `_vectors`: the vectors, and how
  exact their products are;
- `_processes`, `_spread_vectors` and `_spread_search`: a gallery in parts;
- `_search`: the checked arguments of a search;
- `_keys`, `_layout` and `_level`: distances as integers, in tiles on the devices;
- `_tile_keys`, `_tiles` and `_sweeps`: what the devices do with the tiles;
- `_sorting`: ranks in whole rows;
- `_close`: the order of items that products cannot order;
- `_by_counting`, `_by_rows`, `_part` and `_ranks`: ranks of the relevant items;
- `_chunks`, `_candidates`, `_nearest_in_float64`, `_nearest` and `_spread_nearest`: the
  nearest items;
- `_near_tiles` and `_near`: all pairs within a distance;
- `_ahead`: the programs, compiled before there are vectors.
"""

from ._ahead import compile_search as compile_search
from ._excluded import Excluded as Excluded
from ._excluded import make_excluded as make_excluded
from ._level import first_dtype as first_dtype
from ._level import width as width
from ._near import Nearness as Nearness
from ._near import pairs_within as pairs_within
from ._nearest import nearest_item as nearest_item
from ._nearest import nearest_items as nearest_items
from ._numbering import checked_classes as checked_classes
from ._ranks import relevant_ranks as relevant_ranks
from ._search import Search as Search
from ._search import count_copies as count_copies
from ._search import make_search as make_search
from ._search import make_sides as make_sides
from ._search import make_vectors as make_vectors
from ._spread_nearest import nearest_of_parts as nearest_of_parts
from ._spread_vectors import SpreadVectors as SpreadVectors
from ._sweeps import Progress as Progress
from ._vectors import Vectors as Vectors

__all__ = [
    "Excluded",
    "Nearness",
    "Progress",
    "Search",
    "SpreadVectors",
    "Vectors",
    "checked_classes",
    "compile_search",
    "count_copies",
    "first_dtype",
    "make_excluded",
    "make_search",
    "make_sides",
    "make_vectors",
    "nearest_item",
    "nearest_items",
    "nearest_of_parts",
    "pairs_within",
    "relevant_ranks",
    "width",
]
