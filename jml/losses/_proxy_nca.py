"""Proxy-NCA loss."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jml._checks import (
    check_array,
    check_batch,
    check_count,
    check_key,
    check_kind,
    check_number,
    warn_of_classes,
)
from jml._numerics import masked_logsumexp
from jml.distances import as_compute, normalize, row_facts
from jml.pairwise._blocks import Plan, make_plan
from jml.pairwise._gradient import mean_loss
from jml.pairwise._rows import AxisName, Items, Pairs, Rows, masked_sum, prepare
from jml.pairwise._sums import Sums, sum_rows


def init_proxies(
    key: Array, *, num_classes: int, dim: int
) -> Float[Array, "num_classes dim"]:
    r"""One proxy a class, Xavier-uniform: $U(-a, a)$ with $a = \sqrt{6 / (C + D)}$.

    Args:
        key: from `jax.random.key`.
        num_classes: $C$.
        dim: $D$, the numbers of an embedding.

    Returns:
        The proxies, in float32.

    Raises:
        ValueError: for a key that is none, or a number or dimension that is not a
            positive integer.

    Example:
        >>> init_proxies(jax.random.key(0), num_classes=100, dim=64).shape
        (100, 64)
    """
    key = check_key("init_proxies", "key", key)
    check_count("init_proxies", "num_classes", num_classes)
    check_count("init_proxies", "dim", dim)
    return jax.nn.initializers.glorot_uniform()(key, (num_classes, dim), jnp.float32)


def proxy_nca_loss(
    embeddings: Float[Array, "n d"],
    labels: Int[Array, " n"],
    proxies: Float[Array, "c d"],
    *,
    scale: float | Float[Array, ""] = 1.0,
    where: Bool[Array, " n"] | None = None,
    block_size: int | None = None,
    axis_name: AxisName = None,
) -> Float[Array, ""]:
    r"""Holds each embedding against one proxy a class instead of the other embeddings.

    With embeddings $x$ and proxies $q$ of unit length and $S_{ic} = s |x_i - q_c|^2$,

    $$L = \frac1B \sum_i \Big( S_{i y_i} + \log \sum_{c \ne y_i} e^{-S_{ic}} \Big).$$

    The positive proxy is not in the sum. The proxies are parameters like any other:
    train them with the network, or pass constants for the original's static ones. There
    are no pairs to count, so there is no `convention`. An item whose label has no
    proxy (-1, say), or that has no other proxy to be held against, adds 0. A warning
    says so of labels of c or more, where they are known before anything runs: labels
    that count from 1 are the usual reason.

    Args:
        embeddings: the batch.
        labels: its classes, 0 ... c - 1.
        proxies: row c stands for class c.
        scale: $s$, the inverse of a temperature. The paper and the original have 1,
            which weighs near and far proxies almost alike; 10 to 30 learns faster.
        where: False for absent items.
        block_size: see the package's description, as for the next one.
        axis_name: of the mapped axis over which the batch, but not the proxies, is
            spread.

    Returns:
        The loss, a scalar in float32 or float64.

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
    embeddings, labels, where = check_batch("proxy_nca_loss", embeddings, labels, where)
    scale = check_number("proxy_nca_loss", "scale", scale)
    proxies = check_array("proxy_nca_loss", "proxies", proxies, shape="[C, D]", ndim=2)
    check_kind("proxy_nca_loss", "proxies", proxies, jnp.floating, "floating")
    if proxies.shape[1] != embeddings.shape[1]:
        raise ValueError(
            f"proxy_nca_loss: `proxies` must have {embeddings.shape[1]} columns, as "
            f"the embeddings have, got {proxies.shape[1]}"
        )
    plan = make_plan("proxy_nca_loss", block_size, axis_name)
    warn_of_classes("proxy_nca_loss", labels, where, len(proxies))
    return _proxy_nca_loss(embeddings, labels, proxies, scale, where, plan)


@partial(jax.jit, static_argnames=("plan",))
def _proxy_nca_loss(embeddings, labels, proxies, scale, where, plan):
    x, present = prepare(embeddings, where)
    q = normalize(as_compute(proxies)).astype(x.dtype)
    # An int8 holds its label, but perhaps not the number of every class.
    if jnp.iinfo(labels.dtype).bits < 32:
        labels = labels.astype(jnp.int32)
    numbers = q, as_compute(jnp.asarray(scale, x.dtype))
    return mean_loss(proxy_sums, normalize(x), labels, present, numbers, plan=plan)


def proxy_sums(pairs: Pairs, numbers, plan: Plan) -> Sums:
    """Sums over the anchors, each against the proxies in place of the batch."""
    q, scale = numbers
    classes = jnp.arange(len(q), dtype=pairs.anchors.labels.dtype)
    exist = jnp.ones(len(q), bool)
    proxies = Items(q, row_facts(q), classes, exist, classes)
    sums = sum_rows(terms, Pairs(pairs.anchors, proxies, None), scale, plan)
    return sums._replace(numbers=(sums.items, sums.numbers), items=None)


def terms(rows: Rows, scale):
    """Each anchor's term, and 1 for an anchor that is present."""
    squared = scale * rows.squared
    attract = masked_sum(squared, rows.positive)
    repel = masked_logsumexp(-squared, rows.negative)
    own, others = jnp.any(rows.positive, axis=1), jnp.any(rows.negative, axis=1)
    total = jnp.where(own & others, attract + repel, 0)
    return total, (own | others).astype(total.dtype)
