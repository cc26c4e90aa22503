"""Miners that choose triplets of an anchor, a positive and a negative."""

from functools import partial

import jax
import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import Array, Float

from jml._checks import check_choice, check_key, check_number
from jml.distances import FLOOR
from jml.pairwise import Rows, Scalar

KINDS = ("all", "hard", "semihard", "easy")


def triplet_margin(*, margin: Scalar = 0.2, kind: str = "all") -> Partial:
    r"""Keeps triplets by how much farther the negative is than the positive.

    With Euclidean distances $D$ and $g = D_{an} - D_{ap}$ of a triplet:

    - "all": $g \le m$, the triplets that violate the margin;
    - "hard": of these the ones with $g \le 0$;
    - "semihard": of these the ones with $g > 0$;
    - "easy": $g > m$, the other triplets.

    `triplet_loss` with `mining="all"` takes exactly these triplets, and `margin_loss`
    counts each pair as often as it stands in one. Other losses take each pair that
    stands in one.

    Args:
        margin: $m$, a difference of distances.
        kind: "all", "hard", "semihard" or "easy".

    Returns:
        The miner.

    Raises:
        ValueError: for a `margin` that is not a number, or an unknown `kind`.

    Example:
        >>> from jml import losses
        >>> x = jnp.array([[0.0], [0.5], [0.6], [2.0]])
        >>> loss = losses.triplet_loss(
        ...     x, jnp.array([0, 0, 1, 1]), mining="all", margin=1.0,
        ...     convention="paper", miner=triplet_margin(kind="semihard"),
        ... )
        >>> print(f"{loss:.4f}")
        0.8000
    """
    name = "miners.triplet_margin"
    check_choice(name, "kind", kind, KINDS)
    margin = check_number(name, "margin", margin)
    low, high = -jnp.inf, margin
    if kind == "hard":
        high = jnp.minimum(margin, 0)
    elif kind == "semihard":
        low = 0.0
    elif kind == "easy":
        low, high = margin, jnp.inf
    return Partial(_triplet_margin, low=low, high=high)


def _triplet_margin(
    rows: Rows, *, low: Float[Array, ""], high: Float[Array, ""]
) -> Rows:
    distance, positive = rows.distance, rows.positive
    rank = jnp.cumsum(positive, axis=1)  # 1 for the first positive

    def add(k, times: Float[Array, "b n"]) -> Float[Array, "b n"]:
        """Adds the triplets of each anchor's k-th positive, counted from 0."""
        one = positive & (rank == k + 1)
        of_positive = jnp.sum(jnp.where(one, distance, 0), axis=1, keepdims=True)
        gap = distance - of_positive
        chosen = rows.negative & (gap > low) & (gap <= high)
        chosen &= jnp.any(one, axis=1, keepdims=True)
        number = jnp.sum(chosen, axis=1, keepdims=True, dtype=times.dtype)
        return times + chosen + jnp.where(one, number, 0)

    most = jnp.max(rank[:, -1:], initial=0)
    times = jax.lax.fori_loop(0, most, add, jnp.zeros_like(distance))
    gap = jnp.asarray(low, distance.dtype), jnp.asarray(high, distance.dtype)
    return rows.keep(times > 0, times > 0, times=times, gap=gap)


def distance_weighted(
    key: Array, *, cutoff: Scalar = 0.5, nonzero_loss_cutoff: Scalar = 1.4
) -> Partial:
    r"""Draws a negative for each positive, so that all distances are equally likely.

    On the unit sphere of dimension $D$ the distances $d$ of random points have the
    density $q(d) \propto d^{D - 2} (1 - d^2/4)^{(D - 3)/2}$. An anchor's negative is
    drawn with probability proportional to $1 / q(\max(d, c))$, and never beyond a
    largest distance. An anchor makes as many draws, with replacement, as it has
    positives, and keeps nothing if there is no negative to draw.

    A draw depends on the key and the anchor's place in the batch alone, not on blocks
    or devices. Give every step a new key, such as ``jax.random.fold_in(key, step)``.

    Args:
        key: from `jax.random.key`.
        cutoff: the distance $c$ below which negatives are as likely as at it.
        nonzero_loss_cutoff: the distance from which on no negative is drawn.

    Returns:
        The miner.

    Raises:
        ValueError: for something that is not a key, or a cutoff that is not a number.

    Example:
        >>> from jml import losses
        >>> x = jax.random.normal(jax.random.key(1), (8, 4))
        >>> miner = distance_weighted(jax.random.key(0))
        >>> labels = jnp.arange(8) // 2
        >>> loss = losses.multi_similarity_loss(x, labels, miner=miner)
        >>> bool(loss > 0)
        True

    References:
        Wu, Manmatha, Smola, Kraehenbuehl: Sampling Matters in Deep Embedding Learning,
        2017, https://arxiv.org/abs/1706.07567
    """
    name = "miners.distance_weighted"
    return Partial(
        _distance_weighted,
        key=check_key(name, "key", key),
        cutoff=check_number(name, "cutoff", cutoff),
        farthest=check_number(name, "nonzero_loss_cutoff", nonzero_loss_cutoff),
    )


def _distance_weighted(
    rows: Rows, *, key: Array, cutoff: Float[Array, ""], farthest: Float[Array, ""]
) -> Rows:
    upto = jnp.cumsum(_weights(rows, cutoff, farthest), axis=1)
    total, dtype = upto[:, -1], upto.dtype
    draws = jnp.sum(rows.positive, axis=1)
    keys = jax.vmap(partial(jax.random.fold_in, key))(rows.anchor[:, 0])
    row = jnp.arange(len(upto))

    def draw(k, times: Float[Array, "b n"]) -> Float[Array, "b n"]:
        each = jax.vmap(lambda key: jax.random.fold_in(key, k))(keys)
        uniform = jax.vmap(lambda key: jax.random.uniform(key, dtype=dtype))(each)
        # The product may round up to the total, which no running sum is above.
        below = jnp.minimum(
            uniform * total, jnp.nextafter(total, jnp.zeros_like(total))
        )
        place = jnp.sum(upto <= below[:, None], axis=1)
        valid = (k < draws) & (total > 0)
        return times.at[row, place].add(valid.astype(dtype), mode="drop")

    most = jnp.max(draws, initial=0)
    drawn = jax.lax.fori_loop(0, most, draw, jnp.zeros_like(upto))
    some = jnp.any(drawn > 0, axis=1, keepdims=True)
    times = jnp.where(rows.positive & some, 1, drawn)
    return rows.keep(times > 0, times > 0, times=times)


def _weights(
    rows: Rows, cutoff: Float[Array, ""], farthest: Float[Array, ""]
) -> Float[Array, "b n"]:
    """Each negative's chance to be drawn, relative to the likeliest of its row."""
    squared = jnp.maximum(2 - 2 * rows.cosine, jnp.maximum(cutoff**2, FLOOR))
    rest = 1 - squared / 4
    inside = rows.negative & (squared < farthest**2) & (rest > 0)
    logs = (2 - rows.dim) / 2 * jnp.log(jnp.where(inside, squared, 1))
    logs -= (rows.dim - 3) / 2 * jnp.log(jnp.where(inside, rest, 1))
    logs = jnp.where(inside, logs, -jnp.inf)
    largest = jnp.max(logs, axis=1, keepdims=True)
    return jnp.exp(logs - jnp.where(largest == -jnp.inf, 0, largest))
