"""Proxy-NCA loss."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Integer

from jml._checks import check_choice, check_count, check_key
from jml._label_checks import warn_of_labels
from jml.pairwise import AxisName, Scalar
from jml.tiles import ClassBatch, Formula, Statistics, Tile, class_loss

from ._class_softmax import softmax_entries


def init_proxies(
    key: Array, *, num_classes: int, dim: int
) -> Float[Array, "num_classes dim"]:
    r"""Draws a proxy for each class.

    They are Xavier-uniform: $U(-a, a)$ with $a = \sqrt{6 / (C + D)}$.

    Args:
        key: from `jax.random.key`.
        num_classes: the number of classes $C$.
        dim: the length $D$ of an embedding.

    Returns:
        The proxies, in float32.

    Raises:
        ValueError: for something that is not a key, and for a number of classes or a
            length that is not a positive integer.

    Example:
        >>> init_proxies(jax.random.key(0), num_classes=100, dim=64).shape
        (100, 64)
    """
    key = check_key("init_proxies", "key", key)
    check_count("init_proxies", "num_classes", num_classes)
    check_count("init_proxies", "dim", dim)
    return jax.nn.initializers.glorot_uniform()(key, (num_classes, dim), jnp.float32)


def proxy_nca_loss(
    embeddings: Float[Array | np.ndarray, "n d"],
    labels: Integer[Array | np.ndarray, " n"],
    proxies: Float[Array | np.ndarray, "c d"],
    *,
    scale: Scalar = 1.0,
    own_in_denominator: bool = False,
    where: Bool[Array | np.ndarray, " n"] | None = None,
    classes: Integer[Array | np.ndarray, " c"] | None = None,
    reduction: str = "mean",
    block_size: int | None = None,
    axis_name: AxisName = None,
    class_axis_name: AxisName = None,
) -> Float[Array, "*n"]:
    r"""Compares each embedding with one proxy a class instead of other embeddings.

    With embeddings $x$ and proxies $q$ of unit length and $S_{ic} = s |x_i - q_c|^2$,

    $$L = \frac1B \sum_i \Big( S_{i y_i} + \log \sum_{c \ne y_i} e^{-S_{ic}} \Big).$$

    The positive proxy is not in the sum. With `own_in_denominator` it is, as in PML:
    then the loss is a cross entropy. The proxies are parameters like any other: train
    them with the network, or pass constants for the original's static ones. There are
    no pairs to count, so there is no `convention`. There may be millions of classes:
    the matrix of items and classes is made a tile at a time.

    An item adds 0 if its label has no proxy (-1, for example), or if there is no other
    proxy. Labels of c or more are warned of, where they are known before anything runs:
    usually they count from 1 and not from 0.

    Args:
        embeddings: the batch.
        labels: its classes, 0 ... c - 1.
        proxies: one row for each class.
        scale: the inverse $s$ of a temperature. The paper and the original have 1,
            which weighs near and far proxies almost alike; 10 to 30 learns faster.
        own_in_denominator: whether the sum has the own proxy, too.
        where: False for items to leave out. `jml.losses` says more on the arguments
            that follow.
        classes: the class that each row of `proxies` stands for, [C], each once; below
            0 none. 0, 1, ... by default.
        reduction: "mean", "nonzero", "sum" or "none".
        block_size: the number of classes at a time.
        axis_name: of the mapped axis over which the batch is spread.
        class_axis_name: of the mapped axis over which classes are spread: each device
            has the proxies of its own. Without it each has all. It may be the same.

    Returns:
        The loss, a scalar in float32 or float64; [B] for `reduction="none"`.

    Raises:
        ValueError: for a wrong shape or dtype.

    Example:
        >>> proxies = jnp.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
        >>> loss = proxy_nca_loss(jnp.array([[2.0, 0.0]]), jnp.array([0]), proxies)
        >>> print(f"{loss:.4f}")
        -1.8731

    References:
        Movshovitz-Attias, Toshev, Leung, Ioffe, Singh: No Fuss Distance Metric Learning
        using Proxies, 2017, https://arxiv.org/abs/1703.07464

        Teh, DeVries, Taylor: ProxyNCA++: Revisiting and Revitalizing Proxy Neighborhood
        Component Analysis, 2020, https://arxiv.org/abs/2004.01113, which has the own
        proxy in the denominator
    """
    name = "proxy_nca_loss"
    check_choice(name, "own_in_denominator", own_in_denominator, (False, True))
    batch = ClassBatch(
        embeddings,
        labels,
        proxies,
        where,
        classes,
        block_size,
        axis_name,
        class_axis_name,
        argument="proxies",
    )
    finish = finish_with_own if own_in_denominator else finish_without_own
    formula = Formula(elements, finish, "squared")
    loss = class_loss(name, formula, batch, {"scale": scale}, reduction=reduction)
    if classes is None and class_axis_name is None:
        warn_of_labels(name, labels, where, proxies)
    return loss


def elements(tile: Tile, *, scale: Float[Array, ""]) -> Statistics:
    """The squared distance to the own proxy, and the log-sum of the others."""
    (squared,) = tile.values
    return softmax_entries(squared, tile, -scale, None)


def finish_without_own(
    sums: Statistics, *, scale: Float[Array, ""]
) -> tuple[Float[Array, " b"], Float[Array, " b"]]:
    """Each item's term, and 1 for an item that has a proxy to be compared with."""
    has_own, has_other = sums.sums["has_own"] > 0, sums.logs["others"] != -jnp.inf
    both = has_own & has_other
    others = jnp.where(both, sums.logs["others"], 0)
    total = jnp.where(both, scale * sums.sums["own"] + others, 0)
    return total, (has_own | has_other).astype(total.dtype)


def finish_with_own(
    sums: Statistics, *, scale: Float[Array, ""]
) -> tuple[Float[Array, " b"], Float[Array, " b"]]:
    """The same with the own proxy in the denominator: the loss is log(1 + e^term)."""
    term, number = finish_without_own(sums, scale=scale)
    both = (sums.sums["has_own"] > 0) & (sums.logs["others"] != -jnp.inf)
    return jnp.where(both, jnp.logaddexp(0, term), 0), number
