"""Proxy-NCA loss."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Integer

from jml._checks import check_count, check_key
from jml._gram_distances import row_facts
from jml._label_checks import warn_of_labels
from jml.pairwise import (
    AxisName,
    Batch,
    Hyperparameters,
    Options,
    Pairs,
    Plan,
    Rows,
    Scalar,
    Side,
    Sums,
    Terms,
    masked_logsumexp,
    masked_sum,
    mean_of_each,
    pair_loss,
    sum_rows,
)


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
    where: Bool[Array | np.ndarray, " n"] | None = None,
    reduction: str = "mean",
    block_size: int | None = None,
    axis_name: AxisName = None,
) -> Float[Array, "*n"]:
    r"""Compares each embedding with one proxy a class instead of other embeddings.

    With embeddings $x$ and proxies $q$ of unit length and $S_{ic} = s |x_i - q_c|^2$,

    $$L = \frac1B \sum_i \Big( S_{i y_i} + \log \sum_{c \ne y_i} e^{-S_{ic}} \Big).$$

    The positive proxy is not in the sum. The proxies are parameters like any other:
    train them with the network, or pass constants for the original's static ones. There
    are no pairs to count, so there is no `convention`.

    An item adds 0 if its label has no proxy (-1, for example), or if there is no other
    proxy. Labels of c or more are warned of, where they are known before anything runs:
    usually they count from 1 and not from 0.

    Args:
        embeddings: the batch.
        labels: its classes, 0 ... c - 1.
        proxies: one row for each class.
        scale: the inverse $s$ of a temperature. The paper and the original have 1,
            which weighs near and far proxies almost alike; 10 to 30 learns faster.
        where: False for items to leave out. `jml.losses` says more on this and on the
            next three.
        reduction: "mean", "nonzero", "sum" or "none".
        block_size: the number of anchors at a time.
        axis_name: of the mapped axis over which the batch is spread. Every device has
            all proxies.

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
    """
    loss = pair_loss(
        "proxy_nca_loss",
        proxy_terms,
        Batch(embeddings, labels, where, None, block_size, axis_name),
        {"scale": scale},
        options=Options(reduction=reduction),
        sum_over=sum_proxies,
        each=proxy_means,
        parameters={"proxies": proxies},
        normalized=True,
    )
    warn_of_labels("proxy_nca_loss", labels, where, proxies)
    return loss


def sum_proxies(
    terms: Terms, pairs: Pairs, hyperparameters: Hyperparameters, plan: Plan
) -> Sums:
    """Sums over the anchors, each compared with the proxies instead of the batch."""
    against, scale = _against_proxies(pairs, hyperparameters)
    sums = sum_rows(terms, against, scale, plan)
    by_hyperparameters = {"proxies": sums.by_references, **sums.by_hyperparameters}
    return sums._replace(by_hyperparameters=by_hyperparameters, by_references=None)


def proxy_means(
    terms: Terms, pairs: Pairs, hyperparameters: Hyperparameters, plan: Plan
) -> Float[Array, " b"]:
    """The term of each anchor."""
    return mean_of_each(terms, *_against_proxies(pairs, hyperparameters), plan)


def _against_proxies(
    pairs: Pairs, hyperparameters: Hyperparameters
) -> tuple[Pairs, Hyperparameters]:
    proxies, anchors = hyperparameters["proxies"], pairs.anchors
    # An int8 holds its label, but perhaps not the number of every class.
    if jnp.iinfo(anchors.labels.dtype).bits < 32:
        anchors = anchors._replace(labels=anchors.labels.astype(jnp.int32))
    classes = jnp.arange(len(proxies), dtype=anchors.labels.dtype)
    references = Side(
        proxies,
        row_facts(proxies),
        labels=classes,
        valid=jnp.ones(len(proxies), bool),
        position=jnp.full(len(proxies), -1, int),  # no proxy is an anchor
    )
    against = Pairs(anchors, references, None, mutual=False)
    return against, {"scale": hyperparameters["scale"]}


def proxy_terms(
    rows: Rows, *, scale: Float[Array, ""]
) -> tuple[Float[Array, " b"], Float[Array, " b"]]:
    """Each anchor's term, and 1 for an anchor that is valid."""
    squared = scale * rows.squared
    positive = rows.positive_or_self  # no proxy is the anchor itself
    attract = masked_sum(squared, positive)
    repel = masked_logsumexp(-squared, rows.negative)
    has_positive = jnp.any(positive, axis=1)
    has_negative = jnp.any(rows.negative, axis=1)
    total = jnp.where(has_positive & has_negative, attract + repel, 0)
    return total, (has_positive | has_negative).astype(total.dtype)
