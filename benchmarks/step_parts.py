"""Parts of a training step, each a function that runs it once: JML's and PyTorch's.

`step_profile.py` times them.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any
from unittest import mock


def convolutions(model: Any, images: Any) -> Counter[tuple]:
    """How often the network has each shape of images, shape of kernel and stride."""
    import jax

    from jml.models import embed
    from jml.models._layers import _kernels

    found: Counter[tuple] = Counter()
    conv2d = _kernels.conv2d

    def record(x: Any, kernel: Any, *, stride: int) -> Any:
        found[x.shape, kernel.shape, stride] += 1
        return conv2d(x, kernel, stride=stride)

    def forward(params: Any, stats: Any) -> Any:
        return embed(model.graphdef, params, stats, images, train=True)

    with mock.patch.object(_kernels, "conv2d", record):
        jax.eval_shape(forward, model.params, model.batch_stats)
    return found


def jax_parts(x: Any, kernel: Any, stride: int) -> list[Callable[[], object]]:
    """A convolution's forward pass and both gradients, by JML."""
    import jax
    import numpy as np

    from jml.models._layers._conv import conv2d

    def forward(x: Any, kernel: Any, g: Any) -> Any:
        return conv2d(x, kernel, stride=stride)

    def for_images(x: Any, kernel: Any, g: Any) -> Any:
        return jax.vjp(lambda x: forward(x, kernel, g), x)[1](g)

    def for_kernel(x: Any, kernel: Any, g: Any) -> Any:
        return jax.vjp(lambda kernel: forward(x, kernel, g), kernel)[1](g)

    g = np.ones(jax.eval_shape(forward, x, kernel, None).shape, np.float32)
    arrays = jax.device_put((x, kernel, g))
    parts = [jax.jit(part) for part in (forward, for_images, for_kernel)]
    return [lambda f=part: jax.block_until_ready(f(*arrays)) for part in parts]


def torch_parts(x: Any, kernel: Any, stride: int) -> list[Callable[[], object]]:
    """The same by PyTorch, channels last."""
    import torch

    last = torch.channels_last
    x = torch.tensor(x).permute(0, 3, 1, 2)
    w = torch.tensor(kernel).permute(3, 2, 0, 1).contiguous(memory_format=last)
    how = (stride, stride), (w.shape[2] // 2,) * 2, (1, 1), False, (0, 0), 1
    forward = torch.ops.aten.convolution.default
    backward = torch.ops.aten.convolution_backward.default
    g = torch.ones_like(forward(x, w, None, *how), memory_format=last)
    return [
        lambda: forward(x, w, None, *how),
        lambda: backward(g, x, w, None, *how, [True, False, False]),
        lambda: backward(g, x, w, None, *how, [False, True, False]),
    ]


def jax_adam(params: Any) -> Callable[[], object]:
    """Adam on all parameters, their own gradients."""
    import jax
    import optax

    optimizer = optax.adam(1e-4)

    def update(state: Any, grads: Any) -> Any:
        params, opt = state
        updates, opt = optimizer.update(grads, opt)
        return optax.apply_updates(params, updates), opt

    state = jax.tree.map(lambda x: x.copy(), (params, optimizer.init(params)))
    compiled = jax.jit(update, donate_argnums=0)

    def run() -> None:
        nonlocal state
        state = jax.block_until_ready(compiled(state, params))

    return run


def torch_adam(net: Any) -> Callable[[], object]:
    """The same by PyTorch."""
    import torch

    for parameter in net.parameters():
        parameter.grad = parameter.detach().clone()
    return torch.optim.Adam(net.parameters(), lr=1e-4).step
