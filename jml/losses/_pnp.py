"""PNP loss."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jml._checks import check_choice
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
    pair_loss,
)
from jml.pairwise._memory import Memory

from ._soft_ranks import Vector, mean_over_positives

VARIANTS = ("O", "Ds", "Dq", "Iu", "Ib")


def pnp_loss(
    embeddings: Float[Array | np.ndarray, "n d"],
    labels: Labels | np.ndarray | None = None,
    *,
    variant: str = "O",
    temperature: Scalar = 0.01,
    alpha: Scalar = 1.0,
    b: Scalar = 2.0,
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
    r"""A penalty of the number of negatives that are ranked before each positive.

    With the similarities $s$ and the negatives $N$ of item $i$, softly counted,

    $$L_i = \frac{1}{|P|} \sum_{p \in P} f(r_p), \qquad
      r_p = \sum_{n \in N} \sigma((s_{in} - s_{ip}) / \tau),$$

    where $P$ are its positives and the item itself. The mean is over the items with
    another positive. Any number above 0 in `related` makes a positive, and all count
    alike.

    Args:
        embeddings: the batch.
        labels: its classes: integers [B], or booleans [B, L] for any number of L.
        variant: the penalty $f(r)$. "O": $r$. Two of decreasing slope, which give up
            positives that are far down: "Ds", $\log(1 + r)$, and "Dq",
            $1 - (1 + r)^{-\alpha}$. Two of increasing slope: "Iu",
            $(1 + r) \log(1 + r)$, and "Ib", $(b r - \log(1 + b r)) / b^2$.
        temperature: $\tau$, positive: the difference of similarities over which a rank
            changes. Less than 1e-9 counts as that.
        alpha: $\alpha$ of "Dq", likewise.
        b: $b$ of "Ib", likewise.
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
        ValueError: for a wrong shape or dtype, or an unknown variant.

    Example:
        >>> x = np.array([[1.0, 0.0], [0.8, 0.6], [0.6, 0.8]])
        >>> print(f"{pnp_loss(x, np.array([0, 1, 0])):.4f}")
        0.5045

    References:
        Li, Min, Yue, Wang: Rethinking the Optimization of Average Precision: Only
        Penalizing Negative Instances before Positive Ones is Enough, 2021,
        https://arxiv.org/abs/2102.04640
    """
    check_choice("pnp_loss", "variant", variant, VARIANTS)
    batch = Batch(embeddings, labels, where, memory, block_size, axis_name)
    others = References(references, reference_labels, reference_where)
    return pair_loss(
        "pnp_loss",
        terms,
        batch,
        {"temperature": temperature, "alpha": alpha, "b": b},
        options=Options(others, related, miner, reduction),
        measure="cosine",
        choices={"variant": variant},
    )


def terms(
    rows: Rows, *, temperature: Scalar, alpha: Scalar, b: Scalar, variant: str
) -> tuple[Float[Array, " b"], Float[Array, " b"]]:
    """Each anchor's term, and 1 for an anchor with a positive."""
    penalty, numbers = PENALTIES[variant], ()
    if variant == "Dq":
        numbers = (jnp.maximum(alpha, 1e-9),)
    elif variant == "Ib":
        numbers = (jnp.maximum(b, 1e-9),)
    return mean_over_positives(
        penalty, rows, temperature, *numbers, include_anchor=True
    )


def original(hits: Vector, misses: Vector) -> Vector:
    """The number itself."""
    del hits
    return misses


def decreasing_slope(hits: Vector, misses: Vector) -> Vector:
    """Ds."""
    del hits
    return jnp.log1p(misses)


def decreasing_quotient(hits: Vector, misses: Vector, alpha: Vector) -> Vector:
    """Dq."""
    del hits
    return -jnp.expm1(-alpha * jnp.log1p(misses))


def increasing_unbounded(hits: Vector, misses: Vector) -> Vector:
    """Iu: its slope grows without end."""
    del hits
    return (1 + misses) * jnp.log1p(misses)


def increasing_bounded(hits: Vector, misses: Vector, b: Vector) -> Vector:
    """Ib: its slope grows up to 1 / b."""
    del hits
    return (b * misses - jnp.log1p(b * misses)) / b**2


PENALTIES = {
    "O": original,
    "Ds": decreasing_slope,
    "Dq": decreasing_quotient,
    "Iu": increasing_unbounded,
    "Ib": increasing_bounded,
}
