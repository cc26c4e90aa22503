"""Miners that compare each pair with a margin or with the hardest pair of its row."""

import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import Array, Float

from jml._checks import check_number
from jml.pairwise import Rows, Scalar


def multi_similarity(*, epsilon: Scalar = 0.1) -> Partial:
    r"""Keeps pairs that are harder than the hardest of the other kind, less a margin.

    With the cosine similarities $s$, anchor $i$ keeps the positives $p$ and the
    negatives $n$ with

    $$s_{ip} < \max_n s_{in} + \epsilon, \qquad s_{in} > \min_p s_{ip} - \epsilon.$$

    An anchor without positives keeps no negative, and one without negatives no
    positive.

    Args:
        epsilon: the margin $\epsilon$, of similarities.

    Returns:
        The miner.

    Raises:
        ValueError: for an `epsilon` that is not a number.

    Example:
        >>> from jml import losses
        >>> x = jnp.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
        >>> miner = multi_similarity(epsilon=0.3)
        >>> loss = losses.multi_similarity_loss(x, jnp.array([0, 0, 1]), miner=miner)
        >>> print(f"{loss:.4f}")
        0.1063

    References:
        Wang, Han, Huang, Dong, Scott: Multi-Similarity Loss with General Pair Weighting
        for Deep Metric Learning, 2019, https://arxiv.org/abs/1904.06627
    """
    name = "miners.multi_similarity"
    return Partial(_multi_similarity, epsilon=check_number(name, "epsilon", epsilon))


def _multi_similarity(rows: Rows, *, epsilon: Float[Array, ""]) -> Rows:
    similarity = rows.cosine
    # "- epsilon" and "+ epsilon" stand where PML has them: equal to the last bit.
    lowest = jnp.where(rows.positive, similarity, jnp.inf)
    highest = jnp.where(rows.negative, similarity, -jnp.inf)
    return rows.keep(
        positive=similarity - epsilon < jnp.max(highest, axis=1, keepdims=True),
        negative=similarity + epsilon > jnp.min(lowest, axis=1, keepdims=True),
    )


def pair_margin(*, pos_margin: Scalar = 0.2, neg_margin: Scalar = 0.8) -> Partial:
    """Keeps positives farther than one margin and negatives nearer than another.

    Args:
        pos_margin: a Euclidean distance, beyond which a positive is kept.
        neg_margin: a Euclidean distance, below which a negative is kept.

    Returns:
        The miner.

    Raises:
        ValueError: for a margin that is not a number.

    Example:
        >>> from jml import losses
        >>> x = jnp.array([[0.0], [0.1], [0.5], [2.0]])
        >>> loss = losses.contrastive_loss(
        ...     x, jnp.array([0, 0, 1, 1]), convention="paper", miner=pair_margin()
        ... )
        >>> print(f"{loss:.4f}")
        0.4767
    """
    name = "miners.pair_margin"
    margins = {"pos_margin": pos_margin, "neg_margin": neg_margin}
    margins = {key: check_number(name, key, value) for key, value in margins.items()}
    return Partial(_pair_margin, **margins)


def _pair_margin(
    rows: Rows, *, pos_margin: Float[Array, ""], neg_margin: Float[Array, ""]
) -> Rows:
    return rows.keep(
        positive=rows.distance > pos_margin, negative=rows.distance < neg_margin
    )
