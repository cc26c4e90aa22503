"""Rows of the pair matrix: what a loss's formula is a function of."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jml._gram_distances import inner_products, squared_from_products
from jml._numerics import DType

from ._references import Side


class Rows(NamedTuple):
    """Some rows of the pair matrix: `b` anchors, each compared with `n` references."""

    squared: Float[Array, "b n"]  # squared Euclidean distances
    positive_or_self: Bool[Array, "b n"]  # same label, the anchor itself included
    negative: Bool[Array, "b n"]  # another label
    anchor: Int[Array, "b 1"]  # the positions of the anchors among the references
    reference: Int[Array, "#b n"]  # the positions of the references

    @property
    def positive(self) -> Bool[Array, "b n"]:
        """The references of the anchor's label, without the anchor itself."""
        return self.positive_or_self & (self.reference != self.anchor)


def make_rows(anchors: Side, references: Side) -> Rows:
    """The rows of some anchors, compared with some references."""
    x, y = anchors.embeddings, references.embeddings
    squared = squared_from_products(
        inner_products(x, y),
        anchors.facts,
        references.facts,
        x.shape[1],
        overflow=False,  # `prepare` clips embeddings, in `as_compute`
    )
    valid = anchors.valid[:, None] & references.valid[None, :]
    same = anchors.labels[:, None] == references.labels[None, :]
    return Rows(
        squared,
        valid & same,
        valid & ~same,
        anchors.position[:, None],
        references.position[None, :],
    )


def count_true(mask: Bool[Array, "b n"], dtype: DType) -> Float[Array, " b"]:
    """The number of True in each row, as floats: counts of triplets overflow int32."""
    return jnp.sum(mask, axis=1, dtype=dtype)


def masked_sum(
    values: Float[Array, "b n"], mask: Bool[Array, "b n"]
) -> Float[Array, " b"]:
    """Each row's sum of the values where `mask` is True."""
    return jnp.sum(jnp.where(mask, values, 0), axis=1)


def masked_logsumexp(
    values: Float[Array, "b n"], mask: Bool[Array, "b n"]
) -> Float[Array, " b"]:
    """Each row's ``log sum exp`` over the entries in `mask`; -inf without any.

    Neither value nor gradient overflows, and a row without entries passes gradient 0:
    ``jnp.logaddexp(0, masked_logsumexp(z, mask))`` is log(1 + sum exp z), 0 for it.
    """
    values = jnp.where(mask, values, -jnp.inf)
    largest = jax.lax.stop_gradient(jnp.max(values, axis=1, initial=-jnp.inf))
    largest = jnp.where(jnp.isneginf(largest), 0, largest)
    total = jnp.sum(jnp.exp(values - largest[:, None]), axis=1)
    none = total == 0
    return jnp.where(none, -jnp.inf, jnp.log(jnp.where(none, 1, total)) + largest)
