"""Sums over the positive pairs alone."""

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ._blocks import Plan
from ._rows import Items, Members, Pairs, Rows, group_by_label, vary_like
from ._sums import (
    Numbers,
    Sums,
    Terms,
    add_sums,
    from_both_ends,
    linearize,
    run_if,
    sum_one_end,
)

FEW = 16  # positives an anchor that are gathered rather than looked for in the matrix
AT_ONCE = 4  # of these


def sum_positives(terms: Terms, pairs: Pairs, numbers: Numbers, plan: Plan) -> Sums:
    """`sum_pairs` for terms that look at positives alone.

    Where no anchor has more than a few, they are gathered, some of every anchor at a
    time, and their distances taken from differences, which is more exact than the Gram
    matrix. Where one has many, all pairs are looked at, in smaller blocks: the way not
    taken is allocated all the same.
    """

    def add_up(terms, anchors, items, numbers, plan):
        members = group_by_label(anchors, items)
        most = jnp.max(members.size, initial=0)
        size = plan.blocks(anchors, items)["size"]
        smaller = plan._replace(block_size=-(-size // 4))
        turns = jnp.where(most > FEW, 0, -(-most // AT_ONCE))
        few = _gather(terms, anchors, items, members, turns, numbers)

        def look_at_all(x: Array) -> Sums:
            late = anchors._replace(embeddings=x)
            return vary_like(anchors, sum_one_end(terms, late, items, numbers, smaller))

        return run_if(most > FEW, look_at_all, anchors.embeddings, few)

    return from_both_ends(add_up, terms, pairs, numbers, plan)


def _gather(
    terms, anchors: Items, items: Items, members: Members, turns, numbers
) -> Sums:
    def add(turn, sums: Sums) -> Sums:
        k = turn * AT_ONCE + jnp.arange(AT_ONCE)[None, :]
        place = members.order.at[members.first[:, None] + k].get(mode="clip")
        positive = jax.tree.map(lambda a: a[place], items)
        gap = anchors.embeddings[:, None] - positive.embeddings
        valid = k < members.size[:, None]
        rows = Rows(
            jnp.sum(gap * gap, axis=2),
            valid,
            jnp.zeros_like(valid),
            anchors.index[:, None],
            positive.index,
        )
        total, count, weights, by_numbers = linearize(terms, rows, numbers, anchors)
        by_anchors = 2 * jnp.sum(weights[:, :, None] * gap, axis=1)
        found = Sums(jnp.sum(total), jnp.sum(count), by_numbers, by_anchors)
        return add_sums(sums, found)

    zero = jnp.zeros((), anchors.embeddings.dtype)
    start = Sums(zero, zero, numbers, anchors.embeddings)
    start = vary_like(anchors, jax.tree.map(jnp.zeros_like, start))
    return jax.lax.fori_loop(0, turns, add, start)
