"""All five networks equal torchvision's: outputs, gradients, running statistics.

JAX runs them layer by layer: that compiles each of the repeated shapes once, where
`jit` compiles a whole network. tests/training/test_parity_training.py has `jit`.
"""

import jax
import numpy as np
import pytest
import torch

from jml.models import ARCHITECTURES, embed, to_state_dict
from jml.models._layers import _batch_norm, _kernels
from jml.models._layers._batch_norm import _moments
from jml.models._layers._conv import conv2d
from tests.parity import assert_close

from .torchvision_nets import (
    EMBEDDING_DIM,
    numpy_state,
    random_net,
    same_model,
)

pytestmark = pytest.mark.usefixtures("quick_compilation", "one_program_a_convolution")

# Strides of 2 halve heights of 48, 24, 12, 6 and 3, and widths of 33, 17, 9, 5 and 3:
# even numbers need other padding than odd ones.
SHAPE = (4, 48, 33, 3)
BLOCKS = ("resnet18", "resnet50")  # one of each kind; others have more of the same
MODES = [(arch, True) for arch in ARCHITECTURES] + [(arch, False) for arch in BLOCKS]


@pytest.fixture(scope="module")
def one_program_a_convolution():
    """Convolutions of one shape and the moments of BatchNorm are one program each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_kernels, "conv2d", jax.jit(conv2d, static_argnames="stride"))
        patch.setattr(_batch_norm, "_moments", jax.jit(_moments))
        yield


def modes(*quick):
    """All `MODES`, those but the `quick` ones marked as slow."""
    marks = [() if mode in quick else pytest.mark.slow for mode in MODES]
    pairs = zip(MODES, marks, strict=True)
    return [pytest.param(*mode, marks=mark) for mode, mark in pairs]


def inputs() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.standard_normal(SHAPE), rng.standard_normal((SHAPE[0], EMBEDDING_DIM))


def mode(train: bool) -> str:
    return "train" if train else "eval"


def torch_results(net: torch.nn.Module, train: bool) -> dict[str, np.ndarray]:
    images, weights = inputs()
    x = torch.tensor(images.transpose(0, 3, 1, 2), requires_grad=True)
    net.train(train)
    outputs = net(x)
    (outputs * torch.tensor(weights)).sum().backward()
    return {
        "outputs": outputs.detach().numpy(),
        "images' gradient": x.grad.numpy().transpose(0, 2, 3, 1),
        **{f"gradient of {n}": p.grad.numpy() for n, p in net.named_parameters()},
        **{n: x for n, x in numpy_state(net).items() if "running" in n},
    }


@pytest.mark.parametrize(("arch", "train"), modes(("resnet18", True)))
def test_a_network_equals_torchvisions_in_float64(x64, arch, train):
    net = random_net(arch)
    graphdef, params, stats = same_model(arch, net)
    images, weights = inputs()

    def loss(params, images):
        outputs, new = embed(graphdef, params, stats, images, train=train)
        return (outputs * weights).sum(), (outputs, new)

    gradient = jax.grad(loss, argnums=(0, 1), has_aux=True)
    (dparams, dimages), (outputs, new) = gradient(params, images)
    ours = {"outputs": outputs, "images' gradient": dimages}
    gradients, statistics = to_state_dict(dparams, {}), to_state_dict({}, new)
    ours |= {f"gradient of {name}": x for name, x in gradients.items()}
    ours |= {name: x for name, x in statistics.items() if "running" in name}

    theirs = torch_results(net, train)
    assert ours.keys() == theirs.keys()
    for name, x in ours.items():
        assert x.dtype == np.float64
        assert_close(
            x, theirs[name], 1e-9, f"ResNet, {mode(train)}, float64", label=name
        )


@pytest.mark.slow
@pytest.mark.parametrize("arch", [a for a in ARCHITECTURES if a not in BLOCKS])
def test_outputs_of_evaluation_equal_torchvisions_in_float64(x64, arch):
    net = random_net(arch)
    images = inputs()[0]
    outputs, _ = embed(*same_model(arch, net), images, train=False)
    with torch.no_grad():
        expected = net.eval()(torch.tensor(images.transpose(0, 3, 1, 2)))
    assert_close(outputs, expected, 1e-9, "ResNet, eval, float64")


@pytest.mark.parametrize(("arch", "train"), modes(("resnet50", False)))
def test_a_network_equals_torchvisions_in_float32(arch, train):
    # With full branches, rounding alone puts PyTorch's float32 7e-4 from its float64 in
    # ResNet-152; trained networks have small ones, and there 1e-4 says something.
    net = random_net(arch, gain=0.25).float()
    graphdef, params, stats = same_model(arch, net, np.float32)
    images = inputs()[0].astype(np.float32)
    outputs, new = embed(graphdef, params, stats, images, train=train)

    with torch.no_grad():
        x = torch.tensor(images.transpose(0, 3, 1, 2))
        expected = net.train(train)(x)
    topic = f"ResNet, {mode(train)}, float32"
    assert_close(outputs, expected, 1e-4, topic, label="outputs")
    theirs = numpy_state(net)
    for name, statistic in to_state_dict({}, new).items():
        if "running" in name:
            assert statistic.dtype == np.float32
            assert_close(statistic, theirs[name], 1e-4, topic, label=name)
