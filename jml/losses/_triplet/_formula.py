"""From chosen triplets to a loss: what all ways to mine share."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jml.distances import euclidean_distances
from jml.pairwise import Rows


class Penalty(NamedTuple):
    """What a triplet adds: of ``positive - negative + margin``; and its slope."""

    value: Callable[[Array], Array]
    slope: Callable[[Array], Array]


def hinge_slope(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """The derivative of ``[x]+``: 1 above 0, one half at 0, 0 below."""
    return (jnp.sign(x) + 1) / 2


def softplus(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """log(1 + e^x)."""
    return jnp.logaddexp(x, 0)


HINGE = Penalty(lambda x: jnp.maximum(x, 0), hinge_slope)
SMOOTH = Penalty(softplus, jax.nn.sigmoid)


class Options(NamedTuple):
    """The static options of a triplet loss."""

    paper: bool  # textbook pairs; otherwise an anchor is its own positive, too
    smooth: bool
    swap: bool
    euclidean: bool  # triplets of distances; otherwise of squared ones
    count_active: bool  # for the mean over triplets above 0

    @property
    def penalty(self) -> Penalty:
        """The hinge, or its smooth version."""
        return SMOOTH if self.smooth else HINGE

    def length(self, squared: Float[Array, "*s"]) -> Float[Array, "*s"]:
        """What triplets compare."""
        return euclidean_distances(squared) if self.euclidean else squared


class Mined(NamedTuple):
    """What the chosen triplets of some anchors add up to."""

    pair_gradients: Float[Array, "b n"]  # of the total by each length
    slopes: Float[Array, " b"]  # of the total by the margin
    total: Float[Array, " b"]
    number: Float[Array, " b"]  # of triplets
    active: Float[Array, " b"]  # of triplets above 0


# Of rows, their positives, the margin and the options. It is a `Partial` with arrays.
Mine = Callable[[Rows, Bool[Array, "b n"], Float[Array, ""], Options], Mined]


def triplet_terms(
    rows: Rows, *, margin: Float[Array, ""], mine: Mine, options: Options
) -> tuple[Float[Array, " b"], Float[Array, " b"], Float[Array, " b"]]:
    """Sum and number of each anchor's triplets, and the number of those above 0.

    `mine` is given lengths as `rows.values`: squared distances, or distances. It makes
    the gradient of the sum together with the sum, so this brings its own rule of
    differentiation. JAX can differentiate the rule once more.
    """
    positive = positives_of(rows, options)

    arrays, tree = jax.tree.flatten((rows, positive, mine))

    def mined(lengths, margin, *arrays) -> Mined:
        rows, positive, mine = jax.tree.unflatten(tree, arrays)
        found = mine(replace(rows, values=lengths), positive, margin, options)
        if options.smooth or options.swap:
            return found
        # The sum of the active hinges is linear in the lengths and the margin.
        linear = jnp.sum(found.pair_gradients * lengths, axis=1)
        return found._replace(total=linear + margin * found.slopes)

    # All arrays are arguments, because JAX may trace the rule later, where an array of
    # this function is out of reach.
    @jax.custom_jvp
    def total(lengths, margin, *arrays):
        return mined(lengths, margin, *arrays).total

    @total.defjvp
    def _(primals, tangents):
        found = mined(*primals)
        by_lengths, by_margin = tangents[:2]
        along = jnp.sum(found.pair_gradients * by_lengths, axis=1)
        return found.total, along + found.slopes * by_margin

    lengths = options.length(rows.squared)
    still = mined(*jax.lax.stop_gradient((lengths, margin, *arrays)))
    return total(lengths, margin, *arrays), still.number, still.active


def positives_of(rows: Rows, options: Options) -> Bool[Array, "b n"]:
    """What counts as a positive of each anchor."""
    if options.paper:
        return rows.positive & jnp.any(rows.negative, axis=1)[:, None]
    return rows.positive_or_self


def no_triplets(rows: Rows, number: Float[Array, " b"]) -> Mined:
    """To add triplets to."""
    none = jnp.zeros_like(rows.values[:, 0])
    return Mined(jnp.zeros_like(rows.values), none, none, number, none)
