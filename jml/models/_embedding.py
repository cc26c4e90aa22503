"""The embedding model behind plain dictionaries and pure functions."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from jml._checks import check_array, check_count
from jml._value_checks import check_integer, check_path
from jml.distances import normalize
from jml.errors import UserError

from ._layers import Linear
from ._resnet import DEPTHS, ResNet
from ._state_dict import Tree, check_tree
from ._weights import load_weights

# From the name of a network to its constructor, which takes `rng`. What that makes maps
# images [b, h, w, 3] to features [b, num_features].
BACKBONES: dict[str, Callable[..., Any]] = {
    name: partial(ResNet, name) for name in DEPTHS
}
ARCHITECTURES: tuple[str, ...] = tuple(BACKBONES)


class Model(NamedTuple):
    """A network taken apart: its structure, parameters and running statistics."""

    graphdef: Any
    params: Tree
    batch_stats: Tree


class EmbeddingModel(nnx.Module):
    """A backbone, a linear head, and rows of length one if `l2norm`."""

    def __init__(
        self, arch: str, *, embedding_dim: int, l2norm: bool, rng: np.random.Generator
    ):
        _check_arch(arch)
        self.backbone = BACKBONES[arch](rng=rng)
        self.fc = Linear(self.backbone.num_features, embedding_dim, rng=rng)
        self.l2norm = l2norm

    def __call__(
        self, images: Float[Array, "b h w 3"], *, train: bool
    ) -> Float[Array, "b d"]:
        """Computes the embeddings."""
        x = self.fc(self.backbone(images, train=train))
        return normalize(x) if self.l2norm else x


def create(
    arch: str,
    *,
    embedding_dim: int,
    l2norm: bool = False,
    weights: str = "none",
    seed: int = 0,
) -> Model:
    """Builds an embedding model.

    Args:
        arch: one of ``ARCHITECTURES``.
        embedding_dim: length of an embedding.
        l2norm: scale embeddings to length one.
        weights: "none" initialises as torchvision does; "imagenet" takes torchvision's
            ImageNet weights, and downloads them if needed; anything else is the path of
            a ``.pth`` or ``.safetensors`` file.
        seed: of the initial weights.

    Raises:
        UserError: an unknown `arch`, or weights that cannot be read or do not fit.
        ValueError: `embedding_dim` or `seed` is no integer in its range.

    Example:
        >>> model = create("resnet18", embedding_dim=16)
        >>> model.params["fc"]["weight"].shape
        (512, 16)
    """
    _check_arch(arch)
    check_path("create", "weights", weights)
    check_count("create", "embedding_dim", embedding_dim)
    check_integer("create", "seed", seed)
    rng = np.random.default_rng(seed)
    module = EmbeddingModel(arch, embedding_dim=embedding_dim, l2norm=l2norm, rng=rng)
    graphdef, params, stats = nnx.split(module, nnx.Param, nnx.BatchStat)
    model = Model(graphdef, nnx.to_pure_dict(params), nnx.to_pure_dict(stats))
    if weights == "none":
        return model
    filled = load_weights(weights, arch, model.params, model.batch_stats)
    return Model(graphdef, *filled)


def _check_arch(arch: object) -> None:
    if not isinstance(arch, str) or arch not in BACKBONES:
        known = ", ".join(BACKBONES)
        raise UserError(f"`arch`: no network named {arch!r}; choose one of {known}.")


def embed(
    graphdef: Any,
    params: Tree,
    batch_stats: Tree,
    images: Float[Array | np.ndarray, "b h w 3"],
    *,
    train: bool,
) -> tuple[Float[Array, "b d"], Tree]:
    """Computes the embeddings of normalised images, a pure function.

    Args:
        graphdef: the network's structure, from ``create``.
        params: its parameters; the result has their dtype.
        batch_stats: the running statistics of its BatchNorm layers.
        images: channels last.
        train: normalise with the batch's statistics and move the running ones. If
            False, each image is embedded on its own, and `batch_stats` are returned
            unchanged.

    Returns:
        The embeddings and the running statistics after this batch.

    Raises:
        ValueError: `images` of another shape; or `train`, and a layer has one value
            per channel only.

    Example:
        >>> model = create("resnet18", embedding_dim=16)
        >>> embeddings, _ = embed(*model, np.ones((2, 32, 32, 3)), train=False)
        >>> embeddings.shape
        (2, 16)
    """
    with suppress(TypeError, ValueError):  # what is wrong with them follows
        images = jnp.asarray(images)
    images = check_array("embed", "images", images, shape="[b, h, w, 3]", ndim=4)
    if images.shape[3] != 3:
        raise ValueError(
            f"embed: `images` must have shape [b, h, w, 3], got {images.shape}"
        )
    module = nnx.merge(graphdef, params, batch_stats)
    embeddings = module(images, train=train)
    return embeddings, nnx.to_pure_dict(nnx.state(module, nnx.BatchStat))


def with_bfloat16_kernels(params: Tree) -> Tree:
    """Casts the kernels of convolutions to bfloat16, in which these then compute.

    BatchNorm's statistics, the head and the embeddings stay in float32.

    Example:
        >>> _, params, _ = create("resnet18", embedding_dim=16)
        >>> half = with_bfloat16_kernels(params)
        >>> half["backbone"]["conv1"]["weight"].dtype, half["fc"]["weight"].dtype
        (dtype(bfloat16), dtype('float32'))
    """
    check_tree("with_bfloat16_kernels", "params", params)
    return jax.tree.map(lambda p: p.astype(jnp.bfloat16) if p.ndim == 4 else p, params)


def batch_norm_mask(params: Tree) -> Tree:
    """Marks the scales and shifts of BatchNorm layers, for example to freeze them.

    Returns:
        The same tree with True at those parameters and False at all others.
    """
    check_tree("batch_norm_mask", "params", params)
    # Only the weight of a BatchNorm has one dimension.
    if "weight" in params and params["weight"].ndim == 1:
        return dict.fromkeys(params, True)
    return {
        name: batch_norm_mask(child) if isinstance(child, dict) else False
        for name, child in params.items()
    }
