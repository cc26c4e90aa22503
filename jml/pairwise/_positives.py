"""Sums over the positive pairs alone, and the runs of references of one class."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from ._blocks import Plan, run_if, split_rows
from ._both_ends import from_both_ends, sum_anchors
from ._devices import pvary_like
from ._pair_gradients import Hyperparameters, Terms, linearize
from ._references import Pairs, Side
from ._rows import Rows
from ._sums import Sums, add_sums

FEW = 16  # up to so many items of a class are gathered,
AT_ONCE = 4  # and so many at a time


class ClassRuns(NamedTuple):
    """The references sorted by label: those of one label are a run of `order`."""

    order: Int[Array, " n"]  # positions in the order of labels, valid ones first
    first: Int[Array, " b"]  # for each anchor, where the run of its label begins
    size: Int[Array, " b"]  # for each anchor, how many of that run are valid


def find_class_runs(anchors: Side, references: Side) -> ClassRuns:
    """Finds the valid references of each anchor's label, in O(n log n)."""
    order = jnp.lexsort((~references.valid, references.labels))
    ordered = references.labels[order]
    # Unrolled, because a turn of a loop costs more than what it does here.
    search = partial(jnp.searchsorted, ordered, anchors.labels, method="scan_unrolled")
    first, end = search(side="left"), search(side="right")
    valid_before = jnp.append(0, jnp.cumsum(references.valid[order]))
    size = jnp.where(anchors.valid, valid_before[end] - valid_before[first], 0)
    return ClassRuns(order, first, size)


def sum_positives(
    terms: Terms, pairs: Pairs, hyperparameters: Hyperparameters, plan: Plan
) -> Sums:
    """`sum_pairs`, where only positive pairs have a term.

    Where no class has more than 16 items, the positives of all anchors are gathered, a
    few at a time. Their distances come from differences, which is more exact than the
    Gram matrix. Where a class has more, all pairs are visited, as `sum_pairs` does; as
    they are where items have more than one label, references, relations or a miner. The
    data decide that at run time, so the program holds the memory of both cases: the
    second has smaller blocks for that reason.
    """
    add_up = _sum_one_end if pairs.labelled else sum_anchors
    return from_both_ends(add_up, terms, pairs, hyperparameters, plan)


def _sum_one_end(
    terms: Terms,
    anchors: Side,
    references: Side,
    hyperparameters: Hyperparameters,
    plan: Plan,
) -> Sums:
    runs = find_class_runs(anchors, references)
    most = jnp.max(runs.size, initial=0)
    size = split_rows(len(anchors.position), len(references.position), plan)["size"]
    smaller = plan._replace(block_size=-(-size // 4))
    turns = jnp.where(most > FEW, 0, -(-most // AT_ONCE))
    few = _sum_gathered(terms, anchors, references, runs, turns, hyperparameters)

    def visit_all(x: Array) -> Sums:
        moved = anchors._replace(embeddings=x)
        sums = sum_anchors(terms, moved, references, hyperparameters, smaller)
        return pvary_like(anchors, sums)

    return run_if(most > FEW, visit_all, anchors.embeddings, few)


def _sum_gathered(
    terms: Terms,
    anchors: Side,
    references: Side,
    runs: ClassRuns,
    turns: Int[Array, ""],
    hyperparameters: Hyperparameters,
) -> Sums:
    """Sums over `AT_ONCE` positives of each anchor in each turn."""

    def add(turn, sums: Sums) -> Sums:
        k = turn * AT_ONCE + jnp.arange(AT_ONCE)[None, :]
        position = runs.order.at[runs.first[:, None] + k].get(mode="clip")
        positive: Side = jax.tree.map(lambda a: a[position], references)
        gap = anchors.embeddings[:, None] - positive.embeddings
        valid = k < runs.size[:, None]
        rows = Rows(
            values=jnp.sum(gap * gap, axis=2),
            positive_or_self=valid,
            negative=jnp.zeros_like(valid),
            anchor=anchors.position[:, None],
            reference=positive.position,
            anchor_norm=anchors.facts.squared_norms[:, None],
            reference_norm=positive.facts.squared_norms,
            valid=anchors.valid,
        )
        total, number, pair_gradients, by_hyperparameters = linearize(
            terms, rows, hyperparameters, anchors
        )
        by_anchors = 2 * jnp.sum(pair_gradients[:, :, None] * gap, axis=1)
        more = Sums(jnp.sum(total), jnp.sum(number), by_hyperparameters, by_anchors)
        return add_sums(sums, more)

    zero = jnp.zeros((), anchors.embeddings.dtype)
    start = Sums(zero, zero, hyperparameters, anchors.embeddings)
    start = pvary_like(anchors, jax.tree.map(jnp.zeros_like, start))
    return jax.lax.fori_loop(0, turns, add, start)
