"""ElasticFace loss."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Integer

from jml._checks import check_choice, check_key
from jml._label_checks import check_embeddings
from jml.pairwise import AxisName, Scalar, check_axis_name, count_devices
from jml.tiles import ClassBatch, Formula, Statistics, Tile, class_loss

from . import _class_softmax
from ._class_softmax import cross_entropy, radians, smoothing, turned


def elasticface_loss(
    embeddings: Float[Array | np.ndarray, "b d"],
    labels: Integer[Array | np.ndarray, " b"],
    weights: Float[Array | np.ndarray, "c *k d"],
    *,
    key: Array | None = None,
    scale: Scalar = 64.0,
    margin: Scalar = 0.5,
    deviation: Scalar = 0.0125,
    margin_kind: str = "angular",
    plus: bool = False,
    label_smoothing: Scalar = 0.0,
    where: Bool[Array | np.ndarray, " b"] | None = None,
    classes: Integer[Array | np.ndarray, " c"] | None = None,
    reduction: str = "mean",
    block_size: int | None = None,
    axis_name: AxisName = None,
    class_axis_name: AxisName = None,
) -> Float[Array, "*b"]:
    r"""ArcFace or CosFace with a margin that is drawn for each item.

    $$m_i \sim N(m, \sigma), \qquad
    z_i = \cos(\theta_{i y_i} + m_i) \ \text{ or } \ \cos \theta_{i y_i} - m_i,$$

    $$L = -\frac1B \sum_i \log \frac{e^{s z_i}}{
        e^{s z_i} + \sum_{c \ne y_i} e^{s \cos \theta_{ic}}}.$$

    With `plus` (ElasticFace+), an item that is farther from its class gets a larger one
    of the margins drawn. See `margin_softmax_loss` for angles beyond $\pi$.

    Args:
        embeddings: the batch.
        labels: its classes, 0 ... C - 1. An item of any other class adds 0.
        weights: a row for each class, [C, D]; or several centers, [C, K, D], of which
            the nearest to an item counts.
        key: from `jax.random.key`, another one for every step. Without one every margin
            is $m$. Devices that share a batch are all given the same.
        scale: the factor $s$ on cosines.
        margin: the mean $m$ of the margins. The authors have 0.5 for angles and 0.35
            for cosines.
        deviation: their standard deviation $\sigma$. The default is that of the
            authors' code; they trained their networks with 0.05.
        margin_kind: "angular" adds an angle, in radians; "additive" takes off a cosine.
        plus: whether margins go by the distance to the own class.
        label_smoothing: as in `margin_softmax_loss`.
        where: False for items to leave out. `jml.losses` says more on the arguments
            that follow.
        classes: the class that each row of `weights` stands for, [C], each once; below
            0 none. 0, 1, ... by default.
        reduction: "mean" over items whose class has weights, "nonzero", "sum" or
            "none".
        block_size: the number of classes at a time.
        axis_name: of the mapped axis over which the batch is spread.
        class_axis_name: of the mapped axis over which classes are spread: each device
            has the weights of its own. It may be the same.

    Returns:
        The loss, a scalar in float32 or float64; [B] for `reduction="none"`.

    Raises:
        ValueError: for a wrong type, shape or dtype.

    Example:
        >>> weights = jnp.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
        >>> x, labels = jnp.array([[2.0, 1.0]]), jnp.array([0])
        >>> loss = elasticface_loss(x, labels, weights, scale=4.0)  # that of ArcFace
        >>> print(f"{loss:.4f}")
        0.4784
        >>> key = jax.random.key(0)
        >>> print(f"{elasticface_loss(x, labels, weights, key=key, scale=4.0):.4f}")
        0.5044

    References:
        Boutros, Damer, Kirchbuchner, Kuijper: ElasticFace: Elastic Margin Loss for Deep
        Face Recognition, 2022, https://arxiv.org/abs/2109.09416
    """
    name = "elasticface_loss"
    check_choice(name, "margin_kind", margin_kind, KINDS)
    check_choice(name, "plus", plus, (False, True))
    check_axis_name(name, axis_name)
    if margin_kind == "angular":
        radians(name, "margin", margin)
    x = check_embeddings(name, embeddings)
    draw = jnp.zeros(len(x))
    if key is not None:
        draw = _draw(check_key(name, "key", key), len(x), axis_name)
    batch = ClassBatch(
        x,
        labels,
        weights,
        where,
        classes,
        block_size,
        axis_name,
        class_axis_name,
    )
    return class_loss(
        name,
        FORMULAS[margin_kind, plus],
        batch,
        {
            "scale": scale,
            "margin": margin,
            "deviation": deviation,
            **smoothing(label_smoothing),
        },
        each={"draw": draw},
        reduction=reduction,
    )


def _draw(key: Array, number: int, axis_name: AxisName) -> Float[Array, " b"]:
    """Of the normal distribution, as one device would for the whole batch."""
    draws = jax.random.normal(key, (number * count_devices(axis_name),))
    if axis_name is None:
        return draws
    start = number * jax.lax.axis_index(axis_name)
    return jax.lax.dynamic_slice_in_dim(draws, start, number)


def elements(
    tile: Tile,
    *,
    scale: Float[Array, ""],
    margin: Float[Array, ""],
    deviation: Float[Array, ""],
    label_smoothing: Float[Array, ""] | None = None,
) -> Statistics:
    """Those of a softmax, of the nearest center of each class."""
    return _class_softmax.elements(tile, scale=scale, label_smoothing=label_smoothing)


def finish(
    move: Callable[[Array, Array], Array],
    sums: Statistics,
    *,
    scale: Float[Array, ""],
    margin: Float[Array, ""],
    deviation: Float[Array, ""],
    draw: Float[Array, " b"],
    label_smoothing: Float[Array, ""] | None = None,
) -> tuple[Float[Array, " b"], Float[Array, " b"]]:
    """Each item's cross entropy, and 1 for an item whose class is there."""
    own = move(sums.sums["own"], margin + deviation * draw)
    return cross_entropy(sums, own, scale, label_smoothing)


def far_to_large(
    sums: Statistics, each: dict[str, Float[Array, " b"]]
) -> dict[str, Float[Array, " b"]]:
    """The same draws, the larger ones for items that are farther from their class.

    Items without a class have no part in this.
    """
    valid = sums.sums["has_own"] > 0
    near_first = jnp.argsort(jnp.where(valid, -sums.sums["own"], jnp.inf))
    ascending = jnp.sort(jnp.where(valid, each["draw"], jnp.inf))
    ascending = jnp.where(jnp.isinf(ascending), 0, ascending)
    return {"draw": jnp.zeros_like(ascending).at[near_first].set(ascending)}


KINDS = {"angular": turned, "additive": jnp.subtract}
FORMULAS = {
    (kind, plus): Formula(
        elements, partial(finish, move), assign=far_to_large if plus else None
    )
    for kind, move in KINDS.items()
    for plus in (False, True)
}
