"""NCA loss, also known as the soft nearest neighbour loss."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jml._value_checks import check_type
from jml.pairwise import (
    AxisName,
    Batch,
    Labels,
    Miner,
    Options,
    References,
    Related,
    Rows,
    Scalar,
    masked_logsumexp,
    pair_loss,
)
from jml.pairwise._memory import Memory


def nca_loss(
    embeddings: Float[Array | np.ndarray, "n d"],
    labels: Labels | np.ndarray | None = None,
    *,
    scale: Scalar = 1.0,
    normalized: bool = True,
    where: Bool[Array | np.ndarray, " n"] | None = None,
    memory: Memory | None = None,
    references: Float[Array | np.ndarray, "m d"] | None = None,
    reference_labels: Labels | np.ndarray | None = None,
    reference_where: Bool[Array | np.ndarray, " m"] | None = None,
    related: Related | np.ndarray | None = None,
    miner: Miner | None = None,
    reduction: str = "mean",
    block_size: int | None = None,
    axis_name: AxisName = None,
) -> Float[Array, "*n"]:
    r"""Raises the share of an anchor's class among its softly nearest neighbours.

    With $S_{ij} = |x_i - x_j|^2$ of embeddings on the unit sphere, the scale $s$, and
    the positives $P_i$ (without $i$ itself) and negatives $N_i$ of item $i$,

    $$\ell_i = -\log \frac{\sum_{p \in P_i} e^{-s S_{ip}}}
        {\sum_{j \in P_i \cup N_i} e^{-s S_{ij}}}.$$

    The mean is over the items that have a positive. This is neighbourhood component
    analysis, and with $s = 1 / T$ the soft nearest neighbour loss of temperature $T$.

    Args:
        embeddings: the batch.
        labels: its classes: integers [B], or booleans [B, L] for any number of L.
        scale: $s$, how much near references outweigh the others.
        normalized: whether embeddings are put on the unit sphere first.
        where: False for items to leave out. `jml.losses` says more on this and on the
            arguments that follow.
        memory: earlier embeddings to compare the batch with.
        references: what to compare the batch with in place of itself.
        reference_labels: the classes of the references.
        reference_where: False for references to leave out.
        related: in place of labels, how each item is related to each reference.
        miner: chooses pairs; see `jml.miners`.
        reduction: "mean", "nonzero", "sum" or "none".
        block_size: the number of anchors at a time.
        axis_name: of the mapped axis over which the batch is spread.

    Returns:
        The loss, a scalar in float32 or float64; [B] for `reduction="none"`.

    Raises:
        ValueError: for a wrong shape or dtype.

    Example:
        >>> x = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 2.0]])
        >>> print(f"{nca_loss(x, np.array([0, 0, 1])):.4f}")
        0.3485

    References:
        Goldberger, Roweis, Hinton, Salakhutdinov: Neighbourhood Components Analysis,
        2004, https://www.cs.toronto.edu/~hinton/absps/nca.pdf

        Frosst, Papernot, Hinton: Analyzing and Improving Representations with the Soft
        Nearest Neighbor Loss, 2019, https://arxiv.org/abs/1902.01889
    """
    check_type("nca_loss", "normalized", normalized, bool, "True or False")
    batch = Batch(embeddings, labels, where, memory, block_size, axis_name)
    others = References(references, reference_labels, reference_where)
    return pair_loss(
        "nca_loss",
        terms,
        batch,
        {"scale": scale},
        options=Options(others, related, miner, reduction),
        normalized=normalized,
    )


def terms(
    rows: Rows, *, scale: Float[Array, ""]
) -> tuple[Float[Array, " b"], Float[Array, " b"]]:
    """Each anchor's term, and 1 for an anchor that has a positive."""
    closeness = -scale * rows.squared
    near = masked_logsumexp(closeness, rows.positive, rows.weight)
    far = masked_logsumexp(closeness, rows.negative)
    has_positive = near != -jnp.inf  # not "> -inf": a NaN counts, so that it shows
    total = jnp.logaddexp(0, far - jnp.where(has_positive, near, 0))
    total = jnp.where(has_positive, total, 0)
    return total, has_positive.astype(total.dtype)
