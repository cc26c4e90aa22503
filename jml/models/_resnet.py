"""ResNet-18 to 152 as torchvision builds them, in Flax NNX, over NHWC images.

Attributes have torchvision's names, so the path of a parameter is its torchvision name.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from ._layers import BatchNorm, Conv, max_pool


class _Block(nnx.Module):
    """A residual block: ``relu(shortcut(x) + branch(x))``.

    The branch is a sequence of convolutions conv1, conv2 ..., given as (channels, size,
    stride). Each is followed by its BatchNorm and, except for the last, by ReLU.
    """

    def __init__(
        self,
        c_in: int,
        branch: tuple[tuple[int, int, int], ...],
        *,
        rng: np.random.Generator,
    ):
        self.depth = len(branch)
        c, total_stride = c_in, 1
        for i, (c_out, size, stride) in enumerate(branch, start=1):
            conv = Conv(c, c_out, size=size, stride=stride, rng=rng)
            setattr(self, f"conv{i}", conv)
            setattr(self, f"bn{i}", BatchNorm(c_out))
            c, total_stride = c_out, total_stride * stride
        self.projects = total_stride > 1 or c != c_in
        if self.projects:
            conv = Conv(c_in, c, size=1, stride=total_stride, rng=rng)
            self.downsample: nnx.Dict[Any] = nnx.Dict({"0": conv, "1": BatchNorm(c)})

    def __call__(self, x: Array, *, train: bool) -> Array:
        """Applies the block to images [b, h, w, c_in]."""
        shortcut = x
        if self.projects:
            shortcut = self.downsample["0"](x)
            shortcut = self.downsample["1"](shortcut, train=train)
        for i in range(1, self.depth + 1):
            x = getattr(self, f"conv{i}")(x)
            x = getattr(self, f"bn{i}")(x, train=train)
            x = jax.nn.relu(x + shortcut if i == self.depth else x)
        return x


def _basic(width: int, stride: int) -> tuple[tuple[int, int, int], ...]:
    return (width, 3, stride), (width, 3, 1)


def _bottleneck(width: int, stride: int) -> tuple[tuple[int, int, int], ...]:
    # The stride sits on the 3 x 3 convolution ("v1.5"), not on the first as in the
    # paper: torchvision's weights were trained so.
    return (width, 1, 1), (width, 3, stride), (4 * width, 1, 1)


DEPTHS = {
    "resnet18": (_basic, (2, 2, 2, 2)),
    "resnet34": (_basic, (3, 4, 6, 3)),
    "resnet50": (_bottleneck, (3, 4, 6, 3)),
    "resnet101": (_bottleneck, (3, 4, 23, 3)),
    "resnet152": (_bottleneck, (3, 8, 36, 3)),
}


class ResNet(nnx.Module):
    """The network up to the global average pool: images to features [b, num_features].

    Args:
        arch: one of ``DEPTHS``.
        rng: source of the initial weights.
    """

    def __init__(self, arch: str, *, rng: np.random.Generator):
        branch, depths = DEPTHS[arch]
        self.conv1 = Conv(3, 64, size=7, stride=2, rng=rng)
        self.bn1 = BatchNorm(64)
        c = 64
        for i, depth in enumerate(depths):
            blocks = {}
            for j in range(depth):
                stride = 2 if i > 0 and j == 0 else 1
                convs = branch(64 * 2**i, stride)
                blocks[str(j)] = _Block(c, convs, rng=rng)
                c = convs[-1][0]
            setattr(self, f"layer{i + 1}", nnx.Dict(blocks))
        self.num_features = c

    def __call__(
        self, images: Float[Array, "b h w 3"], *, train: bool
    ) -> Float[Array, "b d"]:
        """Computes features in the dtype of the kernels, the last mean in float32."""
        x = self.conv1(images.astype(self.conv1.weight.dtype))
        x = max_pool(jax.nn.relu(self.bn1(x, train=train)))
        for i in range(1, 5):
            blocks = getattr(self, f"layer{i}")
            for j in range(len(blocks)):
                x = blocks[str(j)](x, train=train)
        return jnp.mean(x, axis=(1, 2), dtype=jnp.promote_types(x.dtype, jnp.float32))
