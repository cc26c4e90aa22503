"""Sums of terms that a pair has from both of its ends."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ._blocks import Plan
from ._pair_gradients import Hyperparameters, Terms
from ._references import Pairs, Side
from ._rows import Rows
from ._sums import Sums, add_sums, sum_blocks, sum_rows


def sum_pairs(
    terms: Terms, pairs: Pairs, hyperparameters: Hyperparameters, plan: Plan
) -> Sums:
    """`sum_rows` for a term of each pair that is the same from both of its ends.

    Every pair within the batch then stands in two rows, once for each end. Half of
    their sum is the sum over unordered pairs. The gradient by an anchor then lies in
    its own row alone, and that by references is not needed: one product less.
    """
    return from_both_ends(sum_anchors, terms, pairs, hyperparameters, plan)


def from_both_ends(
    add_up: Callable[..., Sums],
    terms: Terms,
    pairs: Pairs,
    hyperparameters: Hyperparameters,
    plan: Plan,
) -> Sums:
    """Half the sum over the batch plus the whole sum over other references.

    A pair with a reference that is no anchor stands in one row only. A miner or a
    relation may choose a pair from one of its ends alone: then the rows differ, and
    `sum_rows` adds half of each.
    """
    if not pairs.mutual:
        return sum_rows(terms, pairs, hyperparameters, plan)
    if plan.miner is not None or pairs.anchors.related is not None:
        half = partial(_half_terms, terms, pairs)
        return sum_rows(half, pairs, hyperparameters, plan)
    sums = add_up(terms, pairs.anchors, pairs.batch, hyperparameters, plan)
    sums = sums._replace(
        total=sums.total / 2,
        number=sums.number / 2,
        by_hyperparameters=jax.tree.map(lambda a: a / 2, sums.by_hyperparameters),
    )
    if pairs.memory is not None:
        more = add_up(terms, pairs.anchors, pairs.memory, hyperparameters, plan)
        sums = add_sums(sums, more)
    return sums


def _half_terms(terms: Terms, pairs: Pairs, rows: Rows, **hyperparameters: Array):
    """Half of the terms of pairs within the batch, and the terms of other pairs."""
    within = rows.reference < len(pairs.batch.position)
    found = terms(rows.among(within), **hyperparameters)
    half = jax.tree.map(lambda array: array / 2, found)
    if pairs.memory is None:
        return half
    others = terms(rows.among(~within), **hyperparameters)
    return jax.tree.map(jnp.add, half, others)


def sum_anchors(
    terms: Terms,
    anchors: Side,
    references: Side,
    hyperparameters: Hyperparameters,
    plan: Plan,
) -> Sums:
    """Sums over rows, with the gradient by the anchors alone."""
    return sum_blocks(
        terms, anchors, references, hyperparameters, plan, both_sides=False
    )
