"""The items whose pairs are compared: sorted by class, the classes in folds."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from jaxtyping import Integer as Int

from jml.evaluation._inputs import checked_labels
from jml.evaluation._ranking import Vectors, make_vectors

FOLDS = 20  # groups of classes, from which the spread of a threshold comes
CHUNK = 2**16  # numbers that exist at once where vectors are subtracted: they stay near


class Items(NamedTuple):
    """Items sorted by fold, and by class within a fold."""

    vectors: Vectors
    classes: Int[np.ndarray, " n"]  # ascending within a fold
    folds: Int[np.ndarray, " n"]  # ascending
    groups: Int[np.ndarray, " n"] | None
    fold_count: int

    @property
    def pairs(self) -> int:
        """How many pairs there are, whatever their classes."""
        return len(self.classes) * (len(self.classes) - 1) // 2

    def in_one_group(
        self, i: Int[np.ndarray, " k"] | slice, j: Int[np.ndarray, " k"] | slice
    ) -> Any:
        """Which pairs have one group, and so are left out where they are genuine."""
        if self.groups is None:
            return False
        return (self.groups[i] == self.groups[j]) & (self.groups[i] >= 0)

    def distances(self, squares: Float[np.ndarray, "*k"]) -> Float[np.ndarray, "*k"]:
        """The distances that these squared distances of scaled vectors are."""
        if self.vectors.metric == "cosine":
            return squares / 2
        roots = np.sqrt(np.maximum(squares, 0))
        return np.ldexp(roots, self.vectors.exponent)

    def squares(
        self, i: Int[np.ndarray, " k"], j: Int[np.ndarray, " k"]
    ) -> Float[np.ndarray, " k"]:
        """Squared distances of single pairs, from differences in float64."""
        step = max(1, CHUNK // self.vectors.x.shape[1])
        parts = [
            self.vectors.squared_distances(i[at : at + step], j[at : at + step])
            for at in range(0, len(i), step)
        ]
        return np.concatenate(parts) if parts else np.empty(0)


def make_items(
    name: str, embeddings: Any, labels: Any, metric: str, groups: Any, seed: int
) -> Items:
    """Checks the arguments of the public function `name`, and sorts the items.

    The folds are about equal in size: the classes are dealt out to them in the order of
    their sizes, those of one size in an order that `seed` draws.
    """
    vectors = make_vectors(name, embeddings, None, metric)
    labels = checked_labels(name, "labels", labels, len(vectors.x))
    if groups is not None:
        groups = checked_labels(name, "groups", groups, len(vectors.x))
    _, classes, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    if len(sizes) < 2:
        raise ValueError(
            f"{name}: `labels` must hold two classes at least, got one: there is no"
            " impostor pair"
        )
    if sizes.max() < 2:
        raise ValueError(
            f"{name}: `labels` must hold a class of two items at least: there is no"
            " genuine pair"
        )
    fold_count = min(FOLDS, len(sizes))
    drawn = np.random.default_rng(seed).permutation(len(sizes))
    drawn = drawn[np.argsort(-sizes[drawn], kind="stable")]
    fold_of_class = np.empty(len(sizes), np.int64)
    there = np.arange(fold_count)
    turns = np.concatenate([there, there[::-1]])  # there and back: equal sizes
    fold_of_class[drawn] = np.resize(turns, len(sizes))
    order = np.lexsort((classes, fold_of_class[classes]))
    x = vectors.x[order]
    return Items(
        Vectors(x, x, metric),
        classes[order].astype(np.int32),
        fold_of_class[classes][order].astype(np.uint8),
        None if groups is None else groups[order],
        fold_count,
    )


def genuine_pairs(items: Items, most: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """All genuine pairs, as two arrays of places, about `most` or fewer at a time."""
    classes, first, second, count = items.classes, [], [], 0
    # Places whose class goes on for `offset` items more.
    i = np.flatnonzero(classes[:-1] == classes[1:])
    offset = 1
    while len(i):
        for at in range(0, len(i), most):
            a, b = i[at : at + most], i[at : at + most] + offset
            kept = ~np.broadcast_to(items.in_one_group(a, b), a.shape)
            first.append(a[kept])
            second.append(b[kept])
            count += len(first[-1])
            if count >= most:
                yield np.concatenate(first), np.concatenate(second)
                first, second, count = [], [], 0
        offset += 1
        i = i[i + offset < len(classes)]
        i = i[classes[i] == classes[i + offset]]
    if count:
        yield np.concatenate(first), np.concatenate(second)
