"""Rows of the pair matrix: what a loss's formula is a function of."""

from dataclasses import dataclass, field, replace

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Integer

from jml._gram_distances import inner_products, squared_from_products
from jml._numerics import DType

from ._references import Side
from ._relations import relate


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Rows:
    """Some rows of the pair matrix: `b` anchors, each compared with `n` references.

    A formula reads `squared` or `similarity`, whichever its loss asks for, and the
    masks. `distance` and `cosine` are for miners, whatever the loss asks for: they pass
    no gradient.
    """

    values: Float[Array, "b n"]  # squared distances, or inner products
    positive_or_self: Bool[Array, "b n"]  # positives, and the anchor itself
    negative: Bool[Array, "b n"]
    anchor: Int[Array, "b 1"]  # the positions of the anchors among the references
    reference: Int[Array, "#b n"]  # the positions of the references
    anchor_norm: Float[Array, "b 1"]  # squared norms of the embeddings
    reference_norm: Float[Array, "#b n"]
    valid: Bool[Array, " b"]  # False for an anchor that is left out
    label: Integer[Array, "b 1"] | None = None  # of the anchors, where integers
    weight: Float[Array, "b n"] | None = None  # how much each positive counts; None: 1
    # What a miner adds that chooses triplets: in how many of them each pair stands, and
    # the least (exclusive) and largest distance by which a negative of a triplet is
    # farther than its positive.
    times: Float[Array, "b n"] | None = None
    gap: tuple[Float[Array, ""], Float[Array, ""]] | None = None
    measure: str = field(default="squared", metadata={"static": True})
    dim: int = field(default=0, metadata={"static": True})  # the length of an embedding

    @property
    def squared(self) -> Float[Array, "b n"]:
        """The squared Euclidean distances."""
        return self._read("squared")

    @property
    def similarity(self) -> Float[Array, "b n"]:
        """The inner products: of unit vectors, the cosine similarities."""
        return self._read("product")

    def _read(self, measure: str) -> Float[Array, "b n"]:
        if measure != self.measure:
            read, words = "squared", '"squared"'
            if measure == "product":
                read, words = "similarity", '"cosine" or "dot"'
            raise ValueError(
                f"`rows.{read}` is there with `measure={words}` of pair_loss alone; a "
                "miner reads `rows.distance` or `rows.cosine`"
            )
        return self.values

    @property
    def itself(self) -> Bool[Array, "b n"]:
        """Whether a reference is the anchor itself."""
        return self.reference == self.anchor

    @property
    def positive(self) -> Bool[Array, "b n"]:
        """The positives of each anchor, without the anchor itself."""
        return self.positive_or_self & ~self.itself

    @property
    def distance(self) -> Float[Array, "b n"]:
        """The Euclidean distances of the embeddings that the loss compares."""
        squared = self.values
        if self.measure == "product":
            squared = self.anchor_norm + self.reference_norm - 2 * self.values
        return jnp.sqrt(jax.lax.stop_gradient(jnp.maximum(squared, 0)))

    @property
    def cosine(self) -> Float[Array, "b n"]:
        """The cosine similarities; 0 with a row of zeros."""
        product, norms = self.values, self.anchor_norm * self.reference_norm
        if self.measure == "squared":
            product = (self.anchor_norm + self.reference_norm - self.values) / 2
        lengths = jnp.sqrt(jnp.where(norms > 0, norms, 1))
        return jax.lax.stop_gradient(jnp.where(norms > 0, product / lengths, 0))

    def keep(
        self,
        positive: Bool[Array, "b n"],
        negative: Bool[Array, "b n"],
        *,
        times: Float[Array, "b n"] | None = None,
        gap: tuple[Float[Array, ""], Float[Array, ""]] | None = None,
    ) -> "Rows":
        """These rows without the pairs that neither mask has; what a miner returns.

        The pair of an anchor with itself stays. `Rows` says what `times` and `gap` are.
        """
        return replace(
            self,
            positive_or_self=self.positive_or_self & (positive | self.itself),
            negative=self.negative & negative,
            times=times,
            gap=gap,
        )

    def among(self, references: Bool[Array, "#b n"]) -> "Rows":
        """These rows with pairs with some of the references only."""
        return replace(
            self,
            positive_or_self=self.positive_or_self & references,
            negative=self.negative & references,
        )


def make_rows(anchors: Side, references: Side, measure: str = "squared") -> Rows:
    """The rows of some anchors, compared with some references."""
    x, y = anchors.embeddings, references.embeddings
    values = inner_products(x, y)
    if measure == "squared":
        values = squared_from_products(
            values,
            anchors.facts,
            references.facts,
            x.shape[1],
            overflow=False,  # `prepare` clips embeddings, in `as_compute`
        )
    positive_or_self, negative, weight = relate(anchors, references)
    labels = anchors.labels
    label = None
    if labels is not None and labels.ndim == 1:
        label = labels[:, None]
    return Rows(
        values,
        positive_or_self,
        negative,
        anchors.position[:, None],
        references.position[None, :],
        anchors.facts.squared_norms[:, None],
        references.facts.squared_norms[None, :],
        anchors.valid,
        label=label,
        weight=weight,
        measure=measure,
        dim=x.shape[1],
    )


def count_true(mask: Bool[Array, "b n"], dtype: DType) -> Float[Array, " b"]:
    """The number of True in each row, as floats: counts of triplets overflow int32."""
    return jnp.sum(mask, axis=1, dtype=dtype)


def masked_sum(
    values: Float[Array, "b n"],
    mask: Bool[Array, "b n"],
    weight: Float[Array, "b n"] | None = None,
) -> Float[Array, " b"]:
    """Each row's sum of the values where `mask` is True, each times its weight."""
    if weight is not None:
        values = values * weight
    return jnp.sum(jnp.where(mask, values, 0), axis=1)


def masked_logsumexp(
    values: Float[Array, "b n"],
    mask: Bool[Array, "b n"],
    weight: Float[Array, "b n"] | None = None,
) -> Float[Array, " b"]:
    """Each row's ``log sum weight exp`` over the entries in `mask`; -inf without any.

    Neither value nor gradient overflows, and a row without entries passes gradient 0:
    ``jnp.logaddexp(0, masked_logsumexp(z, mask))`` is log(1 + sum exp z), 0 for it.
    """
    if weight is not None:
        values = values + jnp.log(jnp.where(mask, weight, 1))
    values = jnp.where(mask, values, -jnp.inf)
    largest = jax.lax.stop_gradient(jnp.max(values, axis=1, initial=-jnp.inf))
    largest = jnp.where(jnp.isneginf(largest), 0, largest)
    total = jnp.sum(jnp.exp(values - largest[:, None]), axis=1)
    none = total == 0
    return jnp.where(none, -jnp.inf, jnp.log(jnp.where(none, 1, total)) + largest)


def log1p_sum_exp(
    values: Float[Array, "b n"],
    mask: Bool[Array, "b n"],
    weight: Float[Array, "b n"] | None = None,
) -> Float[Array, " b"]:
    """Each row's ``log(1 + sum weight exp)`` over the entries in `mask`."""
    return jnp.logaddexp(0, masked_logsumexp(values, mask, weight))
