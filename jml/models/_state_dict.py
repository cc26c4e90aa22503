"""Torchvision's state dicts to and from a model's trees: names and layouts.

The networks here name their attributes as torchvision does, so a tensor's name is the
path of its array, and only the order of the axes differs. Both directions, and every
check, follow from walking the model's own trees with those two rules.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jml.errors import UserError

Tree = dict[str, Any]  # nested dictionaries of arrays

_HEAD = ("fc.weight", "fc.bias")
_COUNTER = "num_batches_tracked"  # torchvision keeps it and never uses it
# Where PyTorch's axes lie in ours: HWIO kernels from OIHW, [in, out] from [out, in].
_TO_TORCH = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}
_FROM_TORCH = {4: (2, 3, 1, 0), 2: (1, 0), 1: (0,)}


def _name(path: Iterable[Any]) -> str:
    return ".".join(key.key for key in path).removeprefix("backbone.")


def to_state_dict(params: Tree, batch_stats: Tree) -> dict[str, np.ndarray]:
    """Turns a model into torchvision's state dict, as NumPy arrays.

    ``torchvision.models.resnet…`` with ``fc = Linear(…, embedding_dim)`` loads it with
    ``strict=True``.

    Example:
        >>> from jml.models import create
        >>> _, params, batch_stats = create("resnet18", embedding_dim=16)
        >>> to_state_dict(params, batch_stats)["conv1.weight"].shape
        (64, 3, 7, 7)
    """
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

    A head (``fc``) of 1000 classes is ImageNet's: where the model's has another size,
    it is left out and the model's head stays. Any other head must fit.

    Args:
        state: tensors by torchvision's names.
        params: what a model's parameters look like: structure, shapes and dtypes.
        batch_stats: the same for its running statistics.

    Raises:
        UserError: tensors are missing, unknown or of the wrong shape; lists them.
    """
    state = {name: x for name, x in state.items() if not name.endswith(_COUNTER)}
    ours, treedef = jax.tree.flatten_with_path((params, batch_stats))
    ours = {_name(path[1:]): array for path, array in ours}
    shapes = {
        name: tuple(array.shape[axis] for axis in _TO_TORCH[array.ndim])
        for name, array in ours.items()
    }
    head = [tuple(state[name].shape) for name in _HEAD if name in state]
    features = shapes[_HEAD[0]][1]
    if head == [(1000, features), (1000,)] and shapes[_HEAD[1]] != (1000,):
        own_head = {name: ours[name].T for name in _HEAD}
        state = {**state, **own_head}
    _check(state, shapes)
    arrays = [
        jnp.asarray(np.asarray(state[name]).transpose(_FROM_TORCH[a.ndim]), a.dtype)
        for name, a in ours.items()
    ]
    return jax.tree.unflatten(treedef, arrays)


def _check(state: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> None:
    found = {name: tuple(array.shape) for name, array in state.items()}
    wrong = [
        f"{name} {found[name]} instead of {shape}"
        for name, shape in shapes.items()
        if name in found and found[name] != shape
    ]
    problems = {
        "missing": sorted(shapes.keys() - found.keys()),
        "unknown": sorted(found.keys() - shapes.keys()),
        "misshapen": sorted(wrong),
    }
    if any(problems.values()):
        listed = (
            f"{kind}: {_some(names)}" for kind, names in problems.items() if names
        )
        raise UserError("; ".join(listed))


def _some(names: list[str], most: int = 4) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
