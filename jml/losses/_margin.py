"""Margin loss."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jml._checks import as_array, check_array, known_array
from jml._value_checks import check_type
from jml.distances import euclidean_distances
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
    count_true,
    masked_sum,
    pair_loss,
)
from jml.pairwise._memory import Memory


def margin_loss(
    embeddings: Float[Array | np.ndarray, "n d"],
    labels: Labels | np.ndarray | None = None,
    *,
    margin: Scalar = 0.2,
    beta: Scalar | Float[Array | np.ndarray, " c"] = 1.2,
    nu: Scalar = 0.0,
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
    r"""Pulls positives within a distance, which may be learned, and negatives beyond.

    With the distances $D = \sqrt{\max(|x_i - x_j|^2, 10^{-16})}$ of embeddings on the
    unit sphere, and the boundary $\beta_a$ of anchor $a$, each triplet of an anchor, a
    positive and a negative has the two terms

    $$[D_{ap} - \beta_a + m]_+, \qquad [\beta_a - D_{an} + m]_+.$$

    The loss is their sum over all triplets, divided by the number of terms above 0; if
    $\beta$ is one number, plus $\nu \beta$. Of one number for each class, $\nu \beta_a$
    is summed over the triplets and divided by the same number.

    `jml.miners.distance_weighted` draws the triplets of the paper, and
    `jml.miners.triplet_margin` chooses them. Of other miners, the triplets are those of
    the pairs that they keep. A relation's weight counts for the triplets of a positive.

    PyTorch Metric Learning adds $\nu \beta$ only where it learns $\beta$.

    Args:
        embeddings: the batch.
        labels: its classes: integers [B], or booleans [B, L] for any number of L.
        margin: the distance $m$ that pairs are to keep from the boundary.
        beta: the boundary $\beta$, a distance; or one for each class, [C], for labels
            that are integers from 0 to C - 1. Either may be learned.
        nu: $\nu$, the cost of large boundaries.
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
        ValueError: for a wrong shape or dtype, and for labels without a boundary, if
            these are known before anything runs.

    Example:
        >>> x = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 2.0]])
        >>> print(f"{margin_loss(x, np.array([0, 0, 1])):.4f}")
        0.5056

    References:
        Wu, Manmatha, Smola, Krähenbühl: Sampling Matters in Deep Embedding Learning,
        2017, https://arxiv.org/abs/1706.07567
    """
    check_type("margin_loss", "normalized", normalized, bool, "True or False")
    batch = Batch(embeddings, labels, where, memory, block_size, axis_name)
    others = References(references, reference_labels, reference_where)
    numbers: dict[str, Any] = {"margin": margin, "beta": beta, "nu": nu}
    parameters = {}
    if np.ndim(as_array(beta)) == 1:
        parameters["beta"] = check_classes(numbers.pop("beta"), labels, where)
    return pair_loss(
        "margin_loss",
        terms,
        batch,
        numbers,
        options=Options(others, related, miner, reduction),
        parameters=parameters,
        normalized=normalized,
    )


def check_classes(beta: Any, labels: Any, where: Any) -> Any:
    """Raises ValueError unless there is a number for the class of each item."""
    beta = check_array("margin_loss", "beta", beta, shape="[C]", ndim=1)
    labels = as_array(labels)
    if labels is None or np.ndim(labels) != 1:
        raise ValueError(
            f"margin_loss: `beta` must be a number, got {len(beta)}; one for each class"
            " needs `labels` that are integers [B]"
        )
    if not len(beta):
        raise ValueError(
            "margin_loss: `beta` must have a number for each class, got none"
        )
    known = known_array(labels)
    if known is not None and not np.issubdtype(known.dtype, np.integer):
        return beta  # `pair_loss` says what is wrong with labels and `where`
    valid = np.True_ if where is None else known_array(as_array(where))
    if known is None or valid is None or valid.dtype != bool:
        return beta
    if np.shape(valid) not in ((), known.shape):
        return beta
    if np.any(((known < 0) | (known >= len(beta))) & valid):
        raise ValueError(
            f"margin_loss: `beta` must be a number, got {len(beta)}; one for each class"
            f" needs labels from 0 to {len(beta) - 1}, got {known.min()} to"
            f" {known.max()}"
        )
    return beta


def terms(
    rows: Rows,
    *,
    margin: Float[Array, ""],
    beta: Float[Array, "*c"],
    nu: Float[Array, ""],
) -> tuple[Float[Array, " b"], Float[Array, " b"], Float[Array, " b"]]:
    """Each anchor's sum over its triplets, and how many of their terms are above 0."""
    distances = euclidean_distances(rows.squared)
    boundary = beta
    if beta.ndim == 1:
        # Labels may be traced, so that nobody has checked them.
        label = jnp.clip(rows.label, 0, len(beta) - 1)
        rows, boundary = rows.among(rows.label == label), beta[label]
    near = jnp.maximum(distances - boundary + margin, 0)
    far = jnp.maximum(boundary - distances + margin, 0)
    of_positive, of_negative, triplets, weight = multiplicities(rows)
    total = masked_sum(near * of_positive, rows.positive, rows.weight)
    total += weight * masked_sum(far * of_negative, rows.negative)
    active = masked_sum(of_positive, rows.positive & (near > 0))
    active += masked_sum(of_negative, rows.negative & (far > 0))
    if beta.ndim == 0:
        cost = nu * beta * active
    else:
        cost = nu * boundary[:, 0] * triplets
    return total + cost, active, active


def multiplicities(rows: Rows) -> tuple[Array, Array, Array, Array]:
    """In how many triplets each pair stands, as a positive and as a negative.

    Also the number of triplets of each anchor, and the mean weight of their positives.
    """
    of_positive = of_negative = rows.times
    if of_positive is None or of_negative is None:  # each positive with each negative
        shape, dtype = rows.squared.shape, rows.squared.dtype
        of_positive, of_negative = (
            jnp.broadcast_to(count_true(mask, dtype)[:, None], shape)
            for mask in (rows.negative, rows.positive)
        )
    triplets = masked_sum(of_positive, rows.positive)
    weight = jnp.ones_like(triplets)
    if rows.weight is not None:
        weight = masked_sum(of_positive, rows.positive, rows.weight)
        weight /= jnp.where(triplets > 0, triplets, 1)
    return of_positive, of_negative, triplets, weight
