"""Sums over the rows of the pair matrix and their gradients, in blocks of rows.

The gradient of a sum of distances needs the weight of each distance and two products
with the embeddings, all of which a block of rows has at hand while it is summed:

    dL/dx_i = 2 sum_j (W_ij + W_ji) (x_i - x_j),   W = dL/dS.

So value and gradient come out of one pass, and no matrix is kept between them.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Bool, Float, Int

from .distances import inner_products
from .memory import Memory
from .pairwise import Items, Pairs, Rows, group_by_label, make_pairs, make_rows

T = TypeVar("T")
Numbers = Any  # a tree of float arrays
Terms = Callable[[Rows, Numbers], tuple[Float[Array, " b"], Float[Array, " b"]]]
FEW = 16  # positives an anchor that are gathered rather than looked for in the matrix
AT_ONCE = 4  # of these


class Plan(NamedTuple):
    """How rows are summed: how many at a time, and over which mapped axis."""

    block_size: int | None = None
    axis_name: str | None = None

    def blocks(self, anchors: int, items: int) -> tuple[int, int]:
        """The number of blocks and the anchors in each.

        By default a block stays in the cache of a CPU, and elsewhere fills the device.
        """
        entries = 2**20 if jax.default_backend() == "cpu" else 2**26
        size = self.block_size or max(64, entries // max(1, items))
        blocks = max(1, -(-anchors // size))
        return blocks, -(-anchors // blocks)

    def local(self, tree: T) -> T:
        """Marks values as this device's own, so that derivatives stay here too."""
        if self.axis_name is None:
            return tree
        zero = 0 * jax.lax.axis_index(self.axis_name)
        return jax.tree.map(lambda leaf: leaf + zero.astype(leaf.dtype), tree)

    def sum(self, tree: T) -> T:
        """The sum over the devices of the mapped axis."""
        return tree if self.axis_name is None else jax.lax.psum(tree, self.axis_name)

    def gather(self, array: Float[Array, " b"]) -> Float[Array, " n"]:
        """The arrays of all devices of the mapped axis, one after the other."""
        if self.axis_name is None:
            return array
        return jax.lax.all_gather(array, self.axis_name, tiled=True)

    def own_part(self, by_items: Float[Array, "m d"], size: int) -> Array:
        """Of a gradient by all items, that of this device's `size` anchors."""
        if self.axis_name is None:
            return by_items[:size]
        batch = by_items[: size * jax.lax.axis_size(self.axis_name)]
        return jax.lax.psum_scatter(batch, self.axis_name, tiled=True)


class Sums(NamedTuple):
    """A sum over rows of totals and counts, and the gradient of the total."""

    total: Float[Array, ""]
    count: Float[Array, ""]
    numbers: Numbers  # the gradient by each
    anchors: Float[Array, "b d"]
    items: Float[Array, "n d"] | None = None  # None: all is in the anchors' part

    def __add__(self, other: "Sums") -> "Sums":
        return jax.tree.map(jnp.add, self, other)


def map_rows(
    function: Callable[[Rows], T], anchors: Items, items: Items, plan: Plan
) -> T:
    """Applies a function of rows that returns arrays with an entry for each anchor."""

    def of_block(_, block: Items):
        return None, function(make_rows(block, items))

    return _scan(of_block, None, anchors, len(items.index), plan)[1]


def sum_rows(terms: Terms, pairs: Pairs, numbers: Numbers, plan: Plan) -> Sums:
    """Sums over all rows what `terms` gives for each anchor: a total and a count.

    Args:
        terms: a function of `Rows` and `numbers`, differentiable in both.
        pairs: the matrix.
        numbers: what else the terms depend on.
        plan: how many rows at once.
    """
    items = pairs.items

    def add(carry, block: Items):
        total, count, weights, by_numbers = _linearize(
            terms, make_rows(block, items), numbers, plan
        )
        x, y = block.embeddings, items.embeddings
        column_sums = jnp.sum(weights, axis=0)[:, None]
        by_items = 2 * (column_sums * y - inner_products(weights.T, x.T))
        carry = jax.tree.map(jnp.add, carry, (by_numbers, by_items))
        return carry, (total, count, _pull(weights, x, y))

    zeros = plan.local(jax.tree.map(jnp.zeros_like, (numbers, items.embeddings)))
    (by_numbers, by_items), (total, count, by_anchors) = _scan(
        add, zeros, pairs.anchors, len(items.index), plan
    )
    return Sums(jnp.sum(total), jnp.sum(count), by_numbers, by_anchors, by_items)


def sum_pairs(terms: Terms, pairs: Pairs, numbers: Numbers, plan: Plan) -> Sums:
    """Sums over unordered pairs a term that is the same from both ends.

    `terms` gives the sums over rows. A pair within the batch stands in two rows, so
    that half of each is added, and its row alone holds all that pulls at an anchor.
    """
    return _from_both_ends(_sum_half, terms, pairs, numbers, plan)


def sum_positives(terms: Terms, pairs: Pairs, numbers: Numbers, plan: Plan) -> Sums:
    """`sum_pairs` for terms that look at positives alone.

    Where no anchor has more than a few, they are gathered, some of every anchor at a
    time. Where one has many, all pairs are looked at, in smaller blocks: the branch not
    taken counts for the memory too.
    """

    def choose(terms, anchors, items, numbers, plan):
        members = group_by_label(anchors, items)
        most = jnp.max(members.size, initial=0)
        size = plan.blocks(len(anchors.index), len(items.index))[1]
        smaller = plan._replace(block_size=-(-size // 4))
        return jax.lax.cond(
            most <= FEW,
            lambda: _gather(terms, anchors, items, members, numbers, plan),
            lambda: _sum_half(terms, anchors, items, numbers, smaller),
        )

    return _from_both_ends(choose, terms, pairs, numbers, plan)


def _from_both_ends(add_up, terms, pairs: Pairs, numbers, plan: Plan) -> Sums:
    total, count, by_numbers, by_anchors, _ = add_up(
        terms, pairs.anchors, pairs.batch, numbers, plan
    )
    half = jax.tree.map(lambda a: a / 2, (total, count, by_numbers))
    sums = Sums(*half, by_anchors)
    if pairs.memory is not None:
        sums += add_up(terms, pairs.anchors, pairs.memory, numbers, plan)
    return sums


def _sum_half(terms, anchors: Items, items: Items, numbers, plan: Plan) -> Sums:
    def add(carry, block: Items):
        total, count, weights, by_numbers = _linearize(
            terms, make_rows(block, items), numbers, plan
        )
        by_anchors = _pull(weights, block.embeddings, items.embeddings)
        carry = jax.tree.map(jnp.add, carry, by_numbers)
        return carry, (total, count, by_anchors)

    zeros = plan.local(jax.tree.map(jnp.zeros_like, numbers))
    by_numbers, (total, count, by_anchors) = _scan(
        add, zeros, anchors, len(items.index), plan
    )
    return Sums(jnp.sum(total), jnp.sum(count), by_numbers, by_anchors)


def _gather(terms, anchors: Items, items: Items, members, numbers, plan: Plan) -> Sums:
    def add(turn, sums: Sums) -> Sums:
        k = turn * AT_ONCE + jnp.arange(AT_ONCE)[None, :]
        place = members.order.at[members.first[:, None] + k].get(mode="clip")
        positive = jax.tree.map(lambda a: a[place], items)
        gap = anchors.embeddings[:, None] - positive.embeddings
        valid = (k < members.size[:, None]) & positive.present
        rows = Rows(
            jnp.sum(gap * gap, axis=2),
            valid & anchors.present[:, None],
            jnp.zeros_like(valid),
            anchors.index[:, None],
            positive.index,
        )
        total, count, weights, by_numbers = _linearize(terms, rows, numbers, plan)
        by_anchors = 2 * jnp.sum(weights[:, :, None] * gap, axis=1)
        return sums + Sums(jnp.sum(total), jnp.sum(count), by_numbers, by_anchors)

    zero = jnp.zeros((), anchors.embeddings.dtype)
    start = Sums(zero, zero, numbers, anchors.embeddings)
    start = plan.local(jax.tree.map(jnp.zeros_like, start))
    turns = -(-jnp.max(members.size, initial=0) // AT_ONCE)
    return jax.lax.fori_loop(0, turns, add, start)


def _linearize(terms: Terms, rows: Rows, numbers: Numbers, plan: Plan):
    """Each row's total and count, and the gradient of the sum of the totals."""
    total, back, count = jax.vjp(
        lambda squared, numbers: terms(rows._replace(squared=squared), numbers),
        rows.squared,
        numbers,
        has_aux=True,
    )
    weights, by_numbers = back(plan.local(jnp.ones_like(total)))
    weights = jnp.where(rows.squared > 0, weights, 0)  # else there is no direction
    return total, count, weights, by_numbers


def _pull(weights: Float[Array, "b n"], x: Array, y: Array) -> Float[Array, "b d"]:
    """The gradient of the weighted sum of squared distances by the anchors."""
    row_sums = jnp.sum(weights, axis=1)[:, None]
    return 2 * (row_sums * x - inner_products(weights, y.T))


def mean_loss(
    sums: Callable[[Pairs, Numbers, Plan], Sums],
    x: Float[Array, "n d"],
    labels: Int[Array, " n"],
    present: Bool[Array, " n"],
    numbers: Numbers,
    *,
    plan: Plan,
    memory: Memory | None = None,
) -> Float[Array, ""]:
    """A total over its count, 0 where that is 0, with its gradient made alongside."""

    @jax.custom_jvp
    def loss(x, numbers, data):
        return value_and_gradient(x, numbers, data)[0]

    def value_and_gradient(x, numbers, data):
        pairs = make_pairs(x, *data, plan.axis_name)
        found = sums(pairs, plan.local(numbers), plan)
        total, count, by_numbers = plan.sum((found.total, found.count, found.numbers))
        by_x = found.anchors
        if found.items is not None:
            by_x += plan.own_part(found.items, len(x))
        scale = jnp.where(count > 0, 1 / jnp.maximum(count, 1), 0)
        gradients = jax.tree.map(lambda g: scale * g, (by_x, by_numbers))
        return jnp.where(count > 0, total, 0) / jnp.maximum(count, 1), gradients

    @partial(loss.defjvp, symbolic_zeros=True)
    def _(primals, tangents):
        value, (by_x, by_numbers) = value_and_gradient(*primals)
        slope = jnp.zeros_like(value)
        if not isinstance(tangents[0], SymbolicZero):
            slope += plan.sum(jnp.sum(by_x * tangents[0]))
        for gradient, tangent in zip(
            *map(jax.tree.leaves, (by_numbers, tangents[1])), strict=True
        ):
            if not isinstance(tangent, SymbolicZero):
                slope += jnp.sum(gradient * tangent)
        return value, slope

    return loss(x, numbers, (labels, present, memory))


def _scan(function, carry: T, anchors: Items, width: int, plan: Plan) -> tuple[T, Any]:
    """Gives a function its carry and one block of anchors after the other.

    It returns the next carry and arrays with an entry for each anchor of the block.
    """
    total = len(anchors.index)
    blocks, size = plan.blocks(total, width)
    if blocks == 1:
        return function(carry, anchors)

    # Each block takes anchors from everywhere, so that devices that hold a part of the
    # batch each hold a part of every block. Padding is absent: `present` becomes False.
    def split(array: Array) -> Array:
        padding = [(0, blocks * size - total)] + [(0, 0)] * (array.ndim - 1)
        padded = jnp.pad(array, padding)
        return padded.reshape(size, blocks, *array.shape[1:]).swapaxes(0, 1)

    def join(array: Array) -> Array:
        return array.swapaxes(0, 1).reshape(-1, *array.shape[2:])[:total]

    carry, results = jax.lax.scan(function, carry, jax.tree.map(split, anchors))
    return carry, jax.tree.map(join, results)
