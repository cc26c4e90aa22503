"""A torchvision network and our model with the same random numbers in both."""

import copy
from functools import cache

import jax
import numpy as np
import torch
import torchvision
from torchvision.models.resnet import BasicBlock, Bottleneck

from jml.models import create, from_state_dict

EMBEDDING_DIM = 5


def random_net(arch: str, *, gain: float = 1.0) -> torch.nn.Module:
    """torchvision's network in float64, no BatchNorm as it is when fresh.

    The last scale of every residual branch is multiplied by `gain`.
    """
    return copy.deepcopy(_random_net(arch, gain))


@cache
def _random_net(arch: str, gain: float) -> torch.nn.Module:
    torch.manual_seed(0)
    net = torchvision.models.get_model(arch)
    net.fc = torch.nn.Linear(net.fc.in_features, EMBEDDING_DIM)
    net = net.double()
    for layer in reversed(list(net.modules())):  # a block after its layers
        if isinstance(layer, torch.nn.BatchNorm2d):
            for tensor, low, high in (
                (layer.weight.data, 0.5, 1.5),
                (layer.bias.data, -0.5, 0.5),
                (layer.running_mean, -0.5, 0.5),
                (layer.running_var, 0.5, 1.5),
            ):
                tensor.uniform_(low, high)
        elif isinstance(layer, BasicBlock):
            layer.bn2.weight.data *= gain
        elif isinstance(layer, Bottleneck):
            layer.bn3.weight.data *= gain
    return net


def same_model(arch: str, net: torch.nn.Module, dtype=np.float64):
    """Our model with the tensors of `net`."""
    graphdef, *trees = _create(arch)
    trees = jax.tree.map(lambda x: x.astype(dtype), trees)
    return graphdef, *from_state_dict(numpy_state(net), *trees)


@cache
def _create(arch: str):
    """Our model, whose tensors are replaced."""
    with jax.enable_x64(False):
        return create(arch, embedding_dim=EMBEDDING_DIM)


def numpy_state(net: torch.nn.Module) -> dict[str, np.ndarray]:
    return {name: x.detach().numpy().copy() for name, x in net.state_dict().items()}
