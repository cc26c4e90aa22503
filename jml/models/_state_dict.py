"""Converts between torchvision's state dicts and a model's trees.

The networks here name their attributes as torchvision does. So the name of a tensor is
the path of its array in the trees, and only the order of the axes differs. Both
directions and all checks walk the trees with these two rules.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jml._value_checks import check_fields
from jml.errors import UserError

Tree = dict[str, Any]  # nested dictionaries of arrays

_HEAD = ("fc.weight", "fc.bias")
_COUNTER = "num_batches_tracked"  # torchvision keeps it and never uses it
# The order of axes by the number of dimensions: kernels are HWIO here and OIHW in
# PyTorch, matrices [in, out] here and [out, in] there.
_TO_TORCH = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}
_FROM_TORCH = {4: (2, 3, 1, 0), 2: (1, 0), 1: (0,)}


def check_tree(name: str, argument: str, value: object) -> None:
    """Raises ValueError unless `value` may be one of a model's trees."""
    check_fields(name, argument, value, "items", "a tree of arrays, from `create`")


def _name(path: Iterable[Any]) -> str:
    return ".".join(key.key for key in path).removeprefix("backbone.")


def to_state_dict(params: Tree, batch_stats: Tree) -> dict[str, np.ndarray]:
    """Converts a model to torchvision's state dict, of NumPy arrays.

    ``torchvision.models.resnet…`` with ``fc = Linear(…, embedding_dim)`` loads it with
    ``strict=True``.

    Example:
        >>> from jml.models import create
        >>> _, params, batch_stats = create("resnet18", embedding_dim=16)
        >>> to_state_dict(params, batch_stats)["conv1.weight"].shape
        (64, 3, 7, 7)
    """
    check_tree("to_state_dict", "params", params)
    check_tree("to_state_dict", "batch_stats", batch_stats)
    state = {}
    for path, array in jax.tree.leaves_with_path((params, batch_stats)):
        name = _name(path[1:])
        state[name] = np.asarray(array).transpose(_TO_TORCH[array.ndim])
        if name.endswith("running_var"):
            counter = name.replace("running_var", _COUNTER)
            state[counter] = np.zeros((), np.int64)
    return {name: np.array(array, order="C") for name, array in state.items()}


def from_state_dict(
    state: Mapping[str, np.ndarray], params: Tree, batch_stats: Tree
) -> tuple[Tree, Tree]:
    """Fills a model's trees from torchvision's state dict.

    A head (``fc``) of 1000 classes is ImageNet's. Where the model's has another size,
    ImageNet's is left out and the model keeps its own. Any other head must fit.

    Args:
        state: tensors by torchvision's names.
        params: a model's parameters, for their structure, shapes, dtypes and the head.
        batch_stats: its running statistics, for their structure, shapes and dtypes.

    Returns:
        The parameters and the running statistics.

    Raises:
        UserError: tensors are missing, unknown or of the wrong shape; lists them.
    """
    check_fields("from_state_dict", "state", state, "items", "tensors by name")
    check_tree("from_state_dict", "params", params)
    check_tree("from_state_dict", "batch_stats", batch_stats)
    state = {name: x for name, x in state.items() if not name.endswith(_COUNTER)}
    leaves, treedef = jax.tree.flatten_with_path((params, batch_stats))
    targets = {_name(path[1:]): array for path, array in leaves}
    shapes = {
        name: tuple(array.shape[axis] for axis in _TO_TORCH[array.ndim])
        for name, array in targets.items()
    }
    head = [tuple(state[name].shape) for name in _HEAD if name in state]
    features = shapes[_HEAD[0]][1]
    if head == [(1000, features), (1000,)] and shapes[_HEAD[1]] != (1000,):
        state |= {name: targets[name].T for name in _HEAD}
    _check(state, shapes)
    arrays = [
        jnp.asarray(np.asarray(state[name]).transpose(_FROM_TORCH[a.ndim]), a.dtype)
        for name, a in targets.items()
    ]
    return jax.tree.unflatten(treedef, arrays)


def _check(state: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> None:
    actual = {name: tuple(array.shape) for name, array in state.items()}
    misshapen = [
        f"{name} {actual[name]} instead of {shape}"
        for name, shape in shapes.items()
        if name in actual and actual[name] != shape
    ]
    problems = {
        "missing": sorted(shapes.keys() - actual.keys()),
        "unknown": sorted(actual.keys() - shapes.keys()),
        "misshapen": sorted(misshapen),
    }
    if any(problems.values()):
        listed = (
            f"{kind}: {_shortened(names)}" for kind, names in problems.items() if names
        )
        raise UserError("; ".join(listed))


def _shortened(names: list[str], most: int = 4) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
