"""Embeddings to evaluate: Hypothesis's, full of ties, and random ones."""

from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

# Sizes of the classes: few layouts, so that few programs are compiled.
LAYOUTS = [(2,), (19,), (1, 1, 2, 3, 13), (4,) * 9, (1,) * 12 + (2, 2, 2)]
# Of queries and gallery: classes are missing here and there.
PAIRS = [
    ((3, 0, 5, 1), (2, 4, 0, 30)),
    ((20,), (3,)),
    ((1, 1, 2), (16, 17, 1)),
    ((5, 4), (1, 0)),
]
# Angles whose differences are all different, and so are the cosines.
ANGLES = np.deg2rad(4.9 * np.array([0, 1, 4, 9, 15, 22, 32, 34]))


class Case(NamedTuple):
    x: np.ndarray
    labels: np.ndarray
    gallery: tuple[np.ndarray, np.ndarray] | None = None
    own: np.ndarray | None = None  # each query's place in the gallery

    @property
    def given(self):
        """The positional arguments."""
        return self.x, self.labels, *(self.gallery or ())


def whole_rows(n, d=2):
    """Small whole numbers: every distance is exact, ties and duplicates abound."""
    row = st.lists(st.integers(-2, 2), min_size=d, max_size=d)
    return st.lists(row, min_size=n, max_size=n).map(np.float32)


def directions(n):
    """Of few directions and of lengths a power of two apart: cosines tie or differ."""
    angle, length = st.sampled_from(ANGLES), st.integers(-40, 40)
    rows = st.lists(st.tuples(angle, length), min_size=n, max_size=n).map(np.array)
    return rows.map(
        lambda a: (
            np.ldexp(
                np.float32([np.cos(a[:, 0]), np.sin(a[:, 0])]), a[:, 1].astype(int)
            ).T
        )
    )


def axes(n):
    """Along the axes or zero: cosines are -1, 0 and 1, in floats too."""
    rows = st.sampled_from([(0, 0), (4, 0), (-1, 0), (0, 0.5), (0, -1)])
    return st.lists(rows, min_size=n, max_size=n).map(np.float32)


def shuffled_labels(counts):
    """Labels with these sizes of classes, the classes far from 0 and in any order."""
    labels = [7 * c - 9 for c, count in enumerate(counts) for _ in range(count)]
    return st.permutations(labels).map(np.array)


@st.composite
def among_themselves(draw, rows=whole_rows):
    counts = draw(st.sampled_from(LAYOUTS))
    return Case(draw(rows(sum(counts))), draw(shuffled_labels(counts)))


@st.composite
def with_a_gallery(draw, rows=whole_rows):
    """Some of the queries are in the gallery, to be left out."""
    ours, theirs = draw(st.sampled_from(PAIRS))
    x, labels = draw(rows(sum(ours))), draw(shuffled_labels(ours))
    gallery = draw(rows(sum(theirs))), draw(shuffled_labels(theirs))
    places = st.integers(-1, sum(theirs) - 1)
    own = draw(st.lists(places, min_size=len(x), max_size=len(x)))
    return Case(x, labels, gallery, np.array(own))


def clusters(n, d, classes, *, seed=0, spread=0.7):
    """Normal clusters that overlap, float32."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    centres = spread * rng.normal(size=(classes, d))
    return (centres[labels] + rng.normal(size=(n, d))).astype(np.float32), labels
