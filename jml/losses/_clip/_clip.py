"""CLIP loss: the signature."""

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
    Scalar,
    pair_loss,
)
from jml.pairwise._memory import Memory

from .._towers import pair_towers
from . import _four_way, _two_way

DENOMINATORS = ("two_way", "four_way")


def clip_loss(
    queries: Float[Array | np.ndarray, "n d"],
    references: Float[Array | np.ndarray, "m d"],
    *,
    scale: Scalar = 1 / 0.07,
    denominator: str = "two_way",
    labels: Labels | np.ndarray | None = None,
    reference_labels: Labels | np.ndarray | None = None,
    where: Bool[Array | np.ndarray, " n"] | None = None,
    reference_where: Bool[Array | np.ndarray, " m"] | None = None,
    memory: Memory | None = None,
    related: Related | np.ndarray | None = None,
    miner: Miner | None = None,
    reduction: str = "mean",
    block_size: int | None = None,
    axis_name: AxisName = None,
) -> Float[Array, "*n"]:
    r"""Finds the reference of each query among all, and the query of each reference.

    With the cosine similarities $s$, query $i$ belonging to reference $i$,

    $$L = -\frac1{2B} \sum_i \Big(
        \log \frac{e^{t s_{ii}}}{\sum_j e^{t s_{ij}}}
        + \log \frac{e^{t s_{ii}}}{\sum_j e^{t s_{ji}}} \Big).$$

    With `labels` or `related`, the first logarithm is that of each query's positives,
    and the second that of each reference's: where there are several, their mean. Each
    direction has its own mean, over queries and over references with a positive.

    `denominator="four_way"` has one sum for both directions, in which the pairs of two
    queries and of two references count as negatives, too:

    $$L = -\frac1B \sum_i \log \frac{e^{t s_{ii}}}{
        \sum_j e^{t s_{ij}} + \sum_j e^{t s_{ji}}
        + \sum_{j \ne i} e^{t q_i \cdot q_j} + \sum_{j \ne i} e^{t r_i \cdot r_j}}.$$

    Args:
        queries: one tower's embeddings.
        references: the other tower's.
        scale: the factor $t$ on the similarities, the inverse of a temperature. The
            paper trains $\log t$, from $\log(1 / 0.07)$ on, and keeps $t$ up to 100.
        denominator: "two_way", or "four_way", which has no labels, memory or miner.
        labels: the classes of the queries: integers [B], or booleans [B, L].
        reference_labels: the classes of the references.
        where: False for queries to leave out; without labels, also for their
            references. `jml.losses` says more on this and on the arguments that follow.
        reference_where: False for references to leave out.
        memory: earlier references to compare the queries with, too. They look for no
            query. It needs `labels`.
        related: in place of labels, how each query is related to each reference.
        miner: chooses pairs; see `jml.miners`.
        reduction: "mean", "nonzero", "sum" or "none": half of a query's term, and half
            of the mean term of its positives.
        block_size: the number of queries at a time.
        axis_name: of the mapped axis over which queries and references are spread.

    Returns:
        The loss, a scalar in float32 or float64; [B] for `reduction="none"`.

    Raises:
        ValueError: for a wrong shape or dtype.

    Example:
        >>> images = np.array([[1.0, 0.0], [0.0, 1.0]])
        >>> texts = np.array([[2.0, 0.0], [0.6, 0.8]])
        >>> print(f"{clip_loss(images, texts, scale=10):.4f}")
        0.0364

    References:
        Radford, Kim, Hallacy, Ramesh, Goh, Agarwal et al.: Learning Transferable Visual
        Models From Natural Language Supervision, 2021, https://arxiv.org/abs/2103.00020

        Li, Zhang, Zhang, Long, Xie, Zhang: Towards General Text Embeddings with
        Multi-stage Contrastive Learning, 2023, https://arxiv.org/abs/2308.03281
    """
    name = "clip_loss"
    check_choice(name, "denominator", denominator, DENOMINATORS)
    batch = Batch(queries, labels, where, memory, block_size, axis_name)
    others = References(references, reference_labels, reference_where)
    options = Options(others, related, miner, reduction)
    if denominator == "four_way":
        _check_four_way(labels=labels, related=related, memory=memory, miner=miner)
    batch, options = pair_towers(name, queries, batch, options)
    way = _two_way if denominator == "two_way" else _four_way
    return pair_loss(
        name,
        way.terms,
        batch,
        {"scale": scale},
        options=options,
        sum_over=way.SUMS.get(reduction, way.SUMS["mean"]),
        each=way.each,
        measure="cosine",
    )


def _check_four_way(**arguments: object) -> None:
    for argument, value in arguments.items():
        if value is not None:
            raise ValueError(
                f"clip_loss: `{argument}` must be None with `denominator='four_way'`,"
                f" got a {type(value).__name__}"
            )
