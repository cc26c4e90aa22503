"""Supervised contrastive loss, and what is a case of it: InfoNCE, MNRL, DCL, GIST."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jml._checks import check_choice
from jml._loss_specs import DENOMINATOR, POSITIVES
from jml.pairwise import (
    SIMILARITIES,
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
    masked_logsumexp,
    masked_sum,
    pair_loss,
)
from jml.pairwise._memory import Memory

from ._guide import add_guide


def supcon_loss(
    embeddings: Float[Array | np.ndarray, "n d"],
    labels: Labels | np.ndarray | None = None,
    *,
    temperature: Scalar = 0.1,
    hardness: Scalar = 0.0,
    positives: str = "outside",
    denominator: str = "all",
    similarity: str = "cosine",
    guide: Float[Array | np.ndarray, "n g"] | None = None,
    reference_guide: Float[Array | np.ndarray, "m g"] | None = None,
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
    r"""Cross-entropy of each anchor's positives among all items.

    With the similarities $s$, the temperature $\tau$, and the positives $P_i$ (without
    $i$ itself) and negatives $N_i$ of anchor $i$,

    $$L_i = \frac1{|P_i|} \sum_{p \in P_i} w_{ip} \Big(
        \log \sum_{k \in P_i \cup N_i} e^{s_{ik} / \tau} - \frac{s_{ip}}{\tau} \Big),$$

    where $w$ is 1, or the number in `related`. The mean is over anchors with a
    positive. Other choices are

    - `positives="inside"`: the sum over positives stands inside the logarithm, $-\log
      \frac1{|P_i|} \sum_p w_{ip} e^{s_{ip} / \tau} / \sum_k e^{s_{ik} / \tau}$;
    - `denominator="one"`: the sum over $k$ is over $p$ itself and the negatives;
    - `denominator="negatives"`: it is over the negatives alone (decoupled), and an
      anchor without a negative has no loss;
    - `hardness`: a negative's exponential is multiplied by $e^{\beta s_{in}}$, divided
      by the mean of these over the anchor's negatives;
    - `guide`: embeddings from another network. A negative that the guide finds more
      similar to the anchor than each positive of the anchor is left out, as a positive
      without the label. Negatives in a memory stay.

    The page "Choosing a loss" shows InfoNCE, MNRL, MoCo, DCL and GIST as calls of this.

    Args:
        embeddings: the batch.
        labels: its classes: integers [B], or booleans [B, L] for any number of L.
        temperature: $\tau$. It is positive: less than 1e-9 counts as that.
        hardness: $\beta$, how much the most similar negatives outweigh others.
        positives: "outside" or "inside" of the logarithm.
        denominator: "all", "one" or "negatives".
        similarity: "cosine", or "dot" for inner products of embeddings as they are.
        guide: another network's embeddings of the batch [B, G].
        reference_guide: its embeddings of the references.
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
        ValueError: for a wrong shape, dtype or choice.

    Example:
        >>> x = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 2.0]])
        >>> print(f"{supcon_loss(x, np.array([0, 0, 1])):.4f}")
        0.0636

    References:
        Khosla et al.: Supervised Contrastive Learning, 2020,
        https://arxiv.org/abs/2004.11362

        Yeh et al.: Decoupled Contrastive Learning, 2021,
        https://arxiv.org/abs/2110.06848

        Robinson, Chuang, Sra, Jegelka: Contrastive Learning with Hard Negative Samples,
        2020, https://arxiv.org/abs/2010.04592

        Solatorio: GISTEmbed: Guided In-sample Selection of Training Negatives for Text
        Embedding Fine-tuning, 2024, https://arxiv.org/abs/2402.16829
    """
    name = "supcon_loss"
    check_choice(name, "positives", positives, POSITIVES.choices)
    check_choice(name, "denominator", denominator, DENOMINATOR.choices)
    check_choice(name, "similarity", similarity, SIMILARITIES)
    batch = Batch(embeddings, labels, where, memory, block_size, axis_name)
    others = References(references, reference_labels, reference_where)
    miner = add_guide(name, miner, batch, others, guide, reference_guide)
    # Most users have no weights, so they have a program without these.
    weighted = not (isinstance(hardness, int | float) and hardness == 0)
    return pair_loss(
        name,
        terms,
        batch,
        {"temperature": temperature, "hardness": hardness},
        options=Options(others, related, miner, reduction),
        measure=similarity,
        choices={
            "inside": positives == "inside",
            "denominator": denominator,
            "weighted": weighted,
        },
    )


def terms(
    rows: Rows,
    *,
    temperature: Float[Array, ""],
    hardness: Float[Array, ""],
    inside: bool,
    denominator: str,
    weighted: bool,
) -> tuple[Float[Array, " b"], Float[Array, " b"]]:
    """Each anchor's term, and 1 for an anchor that has one."""
    scores = rows.similarity / jnp.maximum(temperature, 1e-9)
    of_negatives = weigh(rows, scores, hardness) if weighted else scores
    number = count_true(rows.positive, scores.dtype)
    counts = number > 0
    if denominator == "all":
        every = jnp.where(rows.negative, of_negatives, scores)
        below = masked_logsumexp(every, rows.positive | rows.negative)
    else:
        below = masked_logsumexp(of_negatives, rows.negative)
    if denominator == "negatives":
        counts &= jnp.any(rows.negative, axis=1)
    if denominator == "one":
        scores = -jnp.logaddexp(0, below[:, None] - scores)
        below = jnp.zeros_like(below)
    below = jnp.where(counts, below, 0)
    number = jnp.maximum(number, 1)
    if inside:
        found = masked_logsumexp(scores, rows.positive, rows.weight)
        total = jnp.log(number) + below - jnp.where(counts, found, 0)
    else:
        each = below[:, None] - scores
        total = masked_sum(each, rows.positive, rows.weight) / number
    return jnp.where(counts, total, 0), counts.astype(scores.dtype)


def weigh(
    rows: Rows, scores: Float[Array, "b n"], hardness: Float[Array, ""]
) -> Float[Array, "b n"]:
    """The scores plus logarithms of weights, which are 1 on average over negatives."""
    logs = hardness * rows.similarity
    number = count_true(rows.negative, logs.dtype)
    mean = masked_logsumexp(logs, rows.negative) - jnp.log(jnp.maximum(number, 1))
    return scores + logs - jnp.where(number > 0, mean, 0)[:, None]
