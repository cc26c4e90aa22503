"""One denominator a pair: its row, its column, and its own towers' other members.

The log-sums of all pairs come first. Each block of each of three matrices (queries and
references, queries, references) then says how they change with its entries.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jml.pairwise import (
    Hyperparameters,
    Pairs,
    Plan,
    Rows,
    Sums,
    Terms,
    column_log_sums,
    gather,
    map_rows,
    masked_logsumexp,
    masked_sum,
    sum_pairs,
    sum_rows,
)

from ._shared import move, scores


def terms(
    rows: Rows,
    *,
    scale: Float[Array, ""],
    log_sums: Float[Array, " n"],
    between_towers: bool = True,
) -> tuple[Float[Array, " b"], Float[Array, " b"]]:
    """Each pair's term, and 1 for one that is valid. Within a tower it only moves.

    An entry is part of the log-sum of its row's pair and of that of its column's.
    """
    z, pairs = scores(rows, scale=scale)
    log_sum = log_sums[rows.anchor[:, 0]]
    one = jnp.ones((1, 1), z.dtype)
    total = move(z, pairs, log_sum[:, None], one)
    total += move(z, pairs, log_sums[None, :], one)
    if not between_towers:
        return total, jnp.zeros_like(total)
    some = jnp.any(rows.positive, axis=1)
    total += jnp.where(some, log_sum, 0) - masked_sum(z, rows.positive)
    return total, some.astype(z.dtype)


def sum_four_ways(
    terms: Terms, pairs: Pairs, hyperparameters: Hyperparameters, plan: Plan
) -> Sums:
    """The sums over three matrices; those of single towers are symmetric."""
    within, log_sum, _ = _values(pairs, hyperparameters["scale"], plan)
    log_sums = gather(log_sum, plan.axis_name)
    cross = sum_rows(partial(terms, log_sums=log_sums), pairs, hyperparameters, plan)
    rule = partial(terms, log_sums=log_sums, between_towers=False)
    queries, references = (sum_pairs(rule, p, hyperparameters, plan) for p in within)
    by_numbers = (s.by_hyperparameters for s in (cross, queries, references))
    return cross._replace(
        by_hyperparameters=jax.tree.map(lambda *parts: sum(parts), *by_numbers),
        by_anchors=cross.by_anchors + queries.by_anchors,
        by_references=jax.tree.map(
            partial(_add_local, plan=plan), cross.by_references, references.by_anchors
        ),
    )


def _add_local(
    everywhere: Float[Array, "n d"], local: Float[Array, "b d"], *, plan: Plan
) -> Float[Array, "n d"]:
    """A device's contribution to all references, and more to its own part of them."""
    if plan.axis_name is None:
        return everywhere + local
    place = jax.lax.axis_index(plan.axis_name) * len(local)
    return everywhere.at[place + jnp.arange(len(local))].add(local)


SUMS = {"mean": sum_four_ways}  # for any reduction


def each(
    terms: Terms, pairs: Pairs, hyperparameters: Hyperparameters, plan: Plan
) -> Float[Array, " b"]:
    """Each pair's term."""
    del terms
    _, log_sum, near = _values(pairs, hyperparameters["scale"], plan)
    return jnp.where(jnp.isposinf(log_sum), 0, log_sum - near)


def _values(
    pairs: Pairs, scale: Float[Array, ""], plan: Plan
) -> tuple[tuple[Pairs, Pairs], Float[Array, " b"], Float[Array, " b"]]:
    """The pairs within each tower, and of each pair its log-sum and its numerator's.

    The log-sum of a pair that is not valid is infinite.
    """
    size = len(pairs.anchors.position)
    start = pairs.batch.position[0]
    batch = pairs.batch._replace(position=pairs.batch.position - start)
    of_queries = Pairs(
        pairs.anchors,
        jax.tree.map(lambda a: gather(a, plan.axis_name), pairs.anchors),
        None,
    )
    of_references = Pairs(_local(batch, size, plan), batch, None)

    def log_sums(rows: Rows) -> Float[Array, " b"]:
        return masked_logsumexp(*scores(rows, scale=scale))

    def of_cross(rows: Rows):
        near = masked_sum(scale * rows.similarity, rows.positive)
        return log_sums(rows), near, jnp.any(rows.positive, axis=1)

    row, near, some = map_rows(of_cross, pairs.anchors, pairs.batch, plan)
    column = column_log_sums(
        partial(scores, scale=scale), pairs.anchors, pairs.batch, plan
    )
    parts = [row, _local(column, size, plan)]
    for one in (of_queries, of_references):
        parts.append(map_rows(log_sums, one.anchors, one.batch, plan))
    stacked = jnp.stack(parts, axis=1)
    log_sum = masked_logsumexp(stacked, stacked != -jnp.inf)
    return (of_queries, of_references), jnp.where(some, log_sum, jnp.inf), near


def _local(tree, size: int, plan: Plan):
    """This device's part of arrays with an entry for each pair."""
    if plan.axis_name is None:
        return tree
    place = jax.lax.axis_index(plan.axis_name) * size
    return jax.tree.map(lambda a: jax.lax.dynamic_slice_in_dim(a, place, size), tree)
