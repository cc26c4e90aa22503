"""Miners that keep one positive or one negative of each anchor."""

from collections.abc import Callable
from functools import cache

import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import Array, Bool, Float

from jml._checks import check_choice, check_number
from jml._numerics import first_minimum
from jml.pairwise import Rows, Scalar

STRATEGIES = ("easy", "semihard", "hard", "all")
Range = tuple[Scalar, Scalar] | None


def batch_hard() -> Partial:
    """Keeps each anchor's farthest positive and nearest negative.

    It is ``easy_hard(positives="hard", negatives="hard")``: an anchor without a
    positive or a negative keeps no pair.

    Returns:
        The miner.

    Example:
        >>> from jml import losses
        >>> x = jnp.array([[0.0], [0.5], [0.6], [0.9]])
        >>> loss = losses.triplet_loss(
        ...     x, jnp.array([0, 0, 1, 1]), mining="all", margin=1.0,
        ...     convention="paper", miner=batch_hard(),
        ... )
        >>> print(f"{loss:.4f}")
        1.0350

    References:
        Hermans, Beyer, Leibe: In Defense of the Triplet Loss for Person
        Re-Identification, 2017, https://arxiv.org/abs/1703.07737
    """
    return easy_hard(positives="hard", negatives="hard")


def easy_hard(
    *,
    positives: str = "easy",
    negatives: str = "semihard",
    pos_range: Range = None,
    neg_range: Range = None,
) -> Partial:
    """Keeps one positive and one negative of each anchor, or all on one side.

    - "easy": the nearest positive, the farthest negative;
    - "hard": the farthest positive, the nearest negative;
    - "semihard": of the negatives that are farther than the chosen positive the
      nearest; of the positives that are nearer than the chosen negative the farthest;
    - "all": all of them.

    Near and far are by what the loss compares: distances or similarities. Of equals the
    first counts. An anchor for which one of the two sides finds nothing keeps no pair;
    next to "all" the other side is kept by itself.

    Args:
        positives: the strategy for positives.
        negatives: the strategy for negatives. At most one of the two is "semihard", and
            then the other is not "all".
        pos_range: the least and largest Euclidean distance of positives to choose from.
        neg_range: the same for negatives.

    Returns:
        The miner.

    Raises:
        ValueError: for an unknown strategy, two that exclude each other, or a range
            that is not a pair of numbers.

    Example:
        >>> from jml import losses
        >>> x = jnp.array([[0.0], [0.5], [0.6], [0.9]])
        >>> loss = losses.triplet_loss(
        ...     x, jnp.array([0, 0, 1, 1]), mining="all", margin=1.0,
        ...     convention="paper", miner=easy_hard(),
        ... )
        >>> print(f"{loss:.4f}")
        0.8500

    References:
        Xuan, Stylianou, Pless: Improved Embeddings with Easy Positive Triplet Mining,
        2020, https://arxiv.org/abs/1904.04370
    """
    name = "miners.easy_hard"
    check_choice(name, "positives", positives, STRATEGIES)
    check_choice(name, "negatives", negatives, STRATEGIES)
    if "semihard" in (positives, negatives) and (
        positives == negatives or "all" in (positives, negatives)
    ):
        raise ValueError(
            f'{name}: `positives` and `negatives` must not be "semihard" and '
            f'"{positives if negatives == "semihard" else negatives}"; pass "easy" or '
            '"hard" for the other one'
        )
    return Partial(
        _make_miner(positives, negatives),
        pos_range=_check_range(name, "pos_range", pos_range),
        neg_range=_check_range(name, "neg_range", neg_range),
    )


def _check_range(name: str, argument: str, limits: Range) -> Range:
    if limits is None:
        return None
    if not isinstance(limits, tuple | list) or len(limits) != 2:
        raise ValueError(
            f"{name}: `{argument}` must be two numbers, the least and the largest "
            f"distance, or None, got {limits!r}"
        )
    least, largest = (check_number(name, argument, limit) for limit in limits)
    return least, largest


@cache  # one function for each pair of words, so that a loss compiles once for it
def _make_miner(positives: str, negatives: str) -> Callable[..., Rows]:
    def mine(rows: Rows, *, pos_range: Range, neg_range: Range) -> Rows:
        farness = rows.values if rows.measure == "squared" else -rows.values
        positive = rows.positive & _within(rows, pos_range)
        negative = rows.negative & _within(rows, neg_range)
        if positives == "semihard":
            negative = _nearest(negative, _facing(farness, negatives == "easy"))
            nearer = farness < _reach(farness, negative)
            positive = _nearest(positive & nearer, -farness)
        else:
            if positives != "all":
                positive = _nearest(positive, _facing(farness, positives == "hard"))
            if negatives == "semihard":
                negative = negative & (farness > _reach(farness, positive))
            if negatives != "all":
                negative = _nearest(negative, _facing(farness, negatives == "easy"))
        if "all" not in (positives, negatives):
            both = [jnp.any(m, axis=1, keepdims=True) for m in (positive, negative)]
            positive, negative = positive & both[1], negative & both[0]
        return rows.keep(positive, negative)

    return mine


def _within(rows: Rows, limits: Range) -> Bool[Array, "b n"]:
    if limits is None:
        return jnp.ones_like(rows.negative)
    return (rows.distance >= limits[0]) & (rows.distance <= limits[1])


def _facing(farness: Float[Array, "b n"], farthest: bool) -> Float[Array, "b n"]:
    return -farness if farthest else farness


def _nearest(
    mask: Bool[Array, "b n"], score: Float[Array, "b n"]
) -> Bool[Array, "b n"]:
    """The first entry of each row with the least score in the mask, if there is one."""
    column, _ = first_minimum(jnp.where(mask, score, jnp.inf))
    return mask & (jnp.arange(mask.shape[1])[None, :] == column[:, None])


def _reach(
    farness: Float[Array, "b n"], one: Bool[Array, "b n"]
) -> Float[Array, "b 1"]:
    """How far the one entry in the mask of each row is; NaN without any."""
    far = jnp.max(jnp.where(one, farness, -jnp.inf), axis=1, keepdims=True)
    return jnp.where(jnp.any(one, axis=1, keepdims=True), far, jnp.nan)
