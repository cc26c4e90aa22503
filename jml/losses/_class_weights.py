"""Class weights: how they begin, and a sample of them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Integer

from jml._checks import check_count, check_key, known_array
from jml._label_checks import check_class_labels, warn_of_labels
from jml.pairwise import AxisName, check_axis_name
from jml.tiles import present_classes


def init_class_weights(
    key: Array, *, num_classes: int, dim: int, centers: int = 1
) -> Float[Array, "c *k d"]:
    """Draws the weights of each class, from a normal distribution of deviation 0.01.

    Losses scale them to length one, so the deviation says how fast they turn: a step of
    plain SGD turns short weights further.

    Args:
        key: from `jax.random.key`.
        num_classes: the number of classes C.
        dim: the length D of an embedding.
        centers: the number K of centers of each class.

    Returns:
        The weights, in float32: [C, D] for one center, [C, K, D] for several.

    Raises:
        ValueError: for something that is not a key, and for a number that is not a
            positive integer.

    Example:
        >>> key = jax.random.key(0)
        >>> init_class_weights(key, num_classes=100, dim=64).shape
        (100, 64)
        >>> init_class_weights(key, num_classes=100, dim=64, centers=3).shape
        (100, 3, 64)
    """
    name = "init_class_weights"
    key = check_key(name, "key", key)
    for argument, value in (
        ("num_classes", num_classes),
        ("dim", dim),
        ("centers", centers),
    ):
        check_count(name, argument, value)
    shape = (num_classes, dim) if centers == 1 else (num_classes, centers, dim)
    return 0.01 * jax.random.normal(key, shape, jnp.float32)


def sample_classes(
    key: Array,
    labels: Integer[Array | np.ndarray, " b"],
    *,
    num_classes: int,
    size: int,
    axis_name: AxisName = None,
    class_axis_name: AxisName = None,
) -> tuple[Int[Array, " s"], Int[Array, " s"]]:
    """Some of all classes, with those of the batch among them: Partial FC.

    A loss of a sample of the classes costs less, and its gradient is 0 for the rest:

        rows, classes = sample_classes(key, labels, num_classes=C, size=S)
        loss = arcface_loss(embeddings, labels, weights[rows], classes=classes)

    Args:
        key: from `jax.random.key`, another one for every step.
        labels: the classes of the batch. Those without weights count for nothing.
        num_classes: the number of all classes; of this device's, if they are spread.
        size: the number of classes to draw, of this device's if they are spread. It
            must hold those of the batch: classes beyond it are left out.
        axis_name: of the mapped axis over which the batch is spread.
        class_axis_name: of the mapped axis over which classes are spread.

    Returns:
        The places of the drawn classes among the weights of this device, [S], and their
        labels, [S].

    Raises:
        ValueError: for a wrong type or size; and if the batch has more classes than
            `size`, where labels are known before anything runs.

    Example:
        >>> rows, classes = sample_classes(
        ...     jax.random.key(0), np.array([2, 7, 7]), num_classes=10, size=4
        ... )
        >>> len(rows), {2, 7} <= set(classes.tolist())
        (4, True)

    References:
        An, Zhu, Gao, Xiao, Zhao, Feng et al.: Partial FC: Training 10 Million
        Identities on a Single Machine, 2021, https://arxiv.org/abs/2010.05222
    """
    name = "sample_classes"
    key = check_key(name, "key", key)
    check_count(name, "num_classes", num_classes)
    check_count(name, "size", size)
    check_axis_name(name, axis_name)
    check_axis_name(name, class_axis_name, "class_axis_name")
    if size > num_classes:
        raise ValueError(
            f"{name}: `size` must be at most `num_classes`, {num_classes}, got {size}"
        )
    labels = _check_sample(name, labels, num_classes, size)
    if class_axis_name is None:
        all_classes = np.broadcast_to(0, num_classes)
        warn_of_labels(name, labels, None, all_classes, word="weights")
    present = present_classes(labels, num_classes, axis_name, class_axis_name)
    first = 0
    if class_axis_name is not None:
        device = jax.lax.axis_index(class_axis_name)
        first, key = device * num_classes, jax.random.fold_in(key, device)
    order = jnp.where(present, 2.0, jax.random.uniform(key, (num_classes,)))
    rows = jax.lax.top_k(order, size)[1]
    return rows, rows + first


def _check_sample(name: str, labels: Any, num_classes: int, size: int) -> Array:
    labels = check_class_labels(name, labels)
    known = known_array(labels)
    if known is not None:
        needed = len(np.unique(known[(known >= 0) & (known < num_classes)]))
        if needed > size:
            raise ValueError(
                f"{name}: `size` must hold the {needed} classes of the batch, got"
                f" {size}"
            )
    return jnp.asarray(labels)
