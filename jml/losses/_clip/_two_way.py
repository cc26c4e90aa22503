"""CLIP's two directions: each query's term and each reference's, in one pass.

A reference's term needs its column of the pair matrix, of which a block of rows has a
part only. So the log-sums of all columns come first. With these, a row says how the
terms of all references change with each of its pairs.
"""

from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from jml._numerics import inverse
from jml.pairwise import (
    Hyperparameters,
    Pairs,
    Plan,
    Rows,
    Sums,
    Terms,
    column_log_sums,
    count_devices,
    count_true,
    map_rows,
    masked_logsumexp,
    psum,
    sum_rows,
)

from ._shared import map_both_sides, move, scores


class Columns(NamedTuple):
    """What there is to know of each reference, from all queries."""

    number: Float[Array, " n"]  # of positives; 0 for those of a memory
    weight: Float[Array, " n"]  # the mean of their weights
    log_sums: Float[Array, " n"]  # infinite without a positive


class Factors(NamedTuple):
    """How much each term counts in the loss."""

    query: Float[Array, ""]
    reference: Float[Array, ""]


def terms(
    rows: Rows, *, scale: Float[Array, ""], columns: Columns, factors: Factors
) -> tuple[Float[Array, " b"], Float[Array, " b"], Float[Array, " b"]]:
    """Each query's term, which also moves as those of the references do; and 1."""
    near, (z, pairs) = _near(rows), scores(rows, scale=scale)
    number = count_true(rows.positive, z.dtype)
    log_sum = _mean(near, number) * _finite(masked_logsumexp(z, pairs))
    moved = move(z, pairs, columns.log_sums[None, :], columns.weight[None, :])
    pull = factors.query * inverse(number)[:, None]
    pull += factors.reference * inverse(columns.number)[None, :]
    total = factors.query * log_sum
    total += factors.reference * moved
    total -= jnp.sum(near * pull * (scale * rows.similarity), axis=1)
    ones = jnp.ones_like(total)
    return total, ones, ones  # a part of a term may be below 0


def sum_both_ways(
    reduction: str,
    terms: Terms,
    pairs: Pairs,
    hyperparameters: Hyperparameters,
    plan: Plan,
) -> Sums:
    """The loss itself, so that its number of terms is 1 in all."""
    queries, columns = _look(pairs, hyperparameters["scale"], plan)
    references = columns.number
    if reduction == "nonzero":
        queries, references, _ = _values(pairs, hyperparameters["scale"], plan)
    counted = jnp.sum(queries > 0, dtype=queries.dtype)
    counts = psum(counted, plan.axis_name), jnp.sum(references > 0, dtype=queries.dtype)
    factors = Factors(*(inverse(count) / 2 for count in counts))
    if reduction == "sum":
        factors = Factors(*(jnp.full_like(count, 0.5) for count in counts))
    rule = partial(terms, columns=columns, factors=factors)
    sums = sum_rows(rule, pairs, hyperparameters, plan)
    of_columns = jnp.sum(columns.weight * _finite(columns.log_sums))
    part = 1 / count_devices(plan.axis_name)  # each adds an equal part of it
    return sums._replace(
        total=sums.total + part * factors.reference * of_columns,
        number=jnp.full_like(sums.total, part),
    )


SUMS = {word: partial(sum_both_ways, word) for word in ("mean", "nonzero", "sum")}


def each(
    terms: Terms, pairs: Pairs, hyperparameters: Hyperparameters, plan: Plan
) -> Float[Array, " b"]:
    """Half of each query's term, and half of the mean term of its positives."""
    del terms
    queries, references, number = _values(pairs, hyperparameters["scale"], plan)

    def of_positives(rows: Rows) -> Float[Array, " b"]:
        found = rows.positive & (number > 0)[None, :]
        total = jnp.sum(jnp.where(found, references[None, :], 0), axis=1)
        return total * inverse(count_true(found, total.dtype))

    back = map_rows(of_positives, pairs.anchors, pairs.references, plan)
    return (queries + back) / 2


def _near(rows: Rows) -> Float[Array, "b n"]:
    """The weight of each positive, and 0 of other references."""
    weight = jnp.ones_like(rows.values) if rows.weight is None else rows.weight
    return jnp.where(rows.positive, weight, 0)


def _mean(near: Float[Array, "b n"], number: Float[Array, " b"]) -> Float[Array, " b"]:
    return jnp.sum(near, axis=1) * inverse(number)


def _finite(log_sums: Float[Array, " n"]) -> Float[Array, " n"]:
    """0 for a sum of nothing, which is not counted."""
    return jnp.where(jnp.isinf(log_sums), 0, log_sums)


def _look(
    pairs: Pairs, scale: Float[Array, ""], plan: Plan
) -> tuple[Float[Array, " b"], Columns]:
    """Each query's number of positives, and the columns."""

    def of_rows(rows: Rows):
        positive = rows.positive.astype(rows.values.dtype)
        number, near = jnp.sum(positive, axis=0), jnp.sum(_near(rows), axis=0)
        return jnp.sum(positive, axis=1), (number, near)

    references = pairs.references
    zeros = jnp.zeros_like(references.facts.squared_norms)
    queries, (number, near) = map_both_sides(
        of_rows, (zeros, zeros), pairs.anchors, references, plan
    )
    in_memory = jnp.arange(len(zeros)) >= len(pairs.batch.position)
    number = jnp.where(in_memory, 0, number)
    log_sums = column_log_sums(
        partial(scores, scale=scale), pairs.anchors, references, plan
    )
    log_sums = jnp.where(number > 0, log_sums, jnp.inf)
    return queries, Columns(number, near * inverse(number), log_sums)


def _values(
    pairs: Pairs, scale: Float[Array, ""], plan: Plan
) -> tuple[Float[Array, " b"], Float[Array, " n"], Float[Array, " n"]]:
    """The term of each query and reference, and each reference's positives' number."""

    def of_rows(rows: Rows):
        near, (z, pairs) = _near(rows), scores(rows, scale=scale)
        pull = near * (scale * rows.similarity)
        number = count_true(rows.positive, z.dtype)
        log_sum = _mean(near, number) * _finite(masked_logsumexp(z, pairs))
        return log_sum - _mean(pull, number), jnp.sum(pull, axis=0)

    _, columns = _look(pairs, scale, plan)
    zeros = jnp.zeros_like(columns.number)
    queries, pull = map_both_sides(
        of_rows, zeros, pairs.anchors, pairs.references, plan
    )
    references = columns.weight * _finite(columns.log_sums)
    references -= pull * inverse(columns.number)
    return queries, references, columns.number
