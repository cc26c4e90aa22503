"""Ten training steps equal PyTorch's: network, loss, Adam and step decay together.

Embeddings are kept short. The original computes the distance of an item to itself with
a rounding error of about |x|^2 * 1e-16; where that exceeds the floor of 1e-16, the
square root of the lifted loss turns it into noise in the reference's gradient, and
Adam turns noise into steps of full length.

The network is a ResNet-18 with one block in each stage: the second ones are all as the
first of all is. tests/models/test_parity.py has whole networks.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import torchvision
from pytorch_metric_learning.losses import MultiSimilarityLoss
from torchvision.models.resnet import BasicBlock

import torch_ref
from jml.app._config import Config
from jml.app._objective import Hyper, objective_of
from jml.models import create
from jml.training import (
    Rates,
    init_state,
    label_groups,
    make_loss,
    make_optimizer,
    make_step,
)
from tests.losses.references import REFERENCES
from tests.networks import short_resnet18
from tests.parity import assert_close

pytestmark = pytest.mark.usefixtures("quick_compilation")

STEPS, BATCH, SIDE, DIM, CLASSES = 10, 8, 32, 16, 4
TOPIC = "ten training steps'"
DEPTHS = (1, 1, 1, 1)
LR, PROXIES_LR, DECAY_EVERY, GAMMA = 1e-4, 1e-2, 4, 0.5
MULTI_SIMILARITY = {"alpha": 2.0, "beta": 50.0, "base": 0.5}
CASES = {
    "contrastive": (Config(loss="contrastive"), 0.01),
    "triplet_hardest": (Config(loss="triplet", mining="hardest"), 0.002),
    "triplet_semi": (Config(loss="triplet", mining="semi"), 0.002),
    "triplet_all": (Config(loss="triplet", mining="all"), 0.002),
    "lifted": (Config(loss="lifted"), 1.0),
    "multi_similarity": (Config(loss="multi_similarity"), 0.0),
    "proxy_nca": (Config(loss="proxy_nca"), 0.0),
}


def torch_network():
    network = torchvision.models.ResNet(BasicBlock, DEPTHS)
    network.fc = torch.nn.Linear(512, DIM)
    return network


def torch_loss(name, margin):
    if name.startswith("triplet"):
        return torch_ref.TripletLoss(margin, name.removeprefix("triplet_"))
    if name == "proxy_nca":
        return torch_ref.ProxyNCA(DIM, CLASSES, scale=2.0).double()
    if name == "multi_similarity":
        return MultiSimilarityLoss(**MULTI_SIMILARITY)
    losses = {
        "contrastive": torch_ref.ContrastiveLoss,
        "lifted": torch_ref.LiftedLoss,
    }
    return losses[name](margin)


@pytest.fixture(scope="module")
def start():
    """The initial network of both sides, the initial proxies, and the batches."""
    torch.manual_seed(0)
    network = torch_network()
    rng = np.random.default_rng(0)
    images = rng.normal(size=(STEPS, BATCH, SIDE, SIDE, 3))
    labels = np.stack(
        [rng.permutation(np.arange(BATCH) % CLASSES) for _ in range(STEPS)]
    )
    proxies = rng.uniform(-0.5, 0.5, size=(CLASSES, DIM))
    state = {k: v.clone() for k, v in network.double().state_dict().items()}
    for name in ("fc.weight", "fc.bias"):
        state[name] *= 0.05
    return state, proxies, images, labels


def torch_run(name, margin, start):
    """Losses, and the network's tensors after the last step, under PyTorch."""
    state, proxies, images, labels = start
    network = torch_network()
    network.double().load_state_dict(state)
    criterion = torch_loss(name, margin)
    if name == "proxy_nca":
        criterion.proxies.data = torch.tensor(proxies)
    groups = [{"params": network.parameters()}]
    if name == "proxy_nca":
        groups.append({"params": criterion.parameters(), "lr": PROXIES_LR})
    optimizer = torch.optim.Adam(groups, lr=LR)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, DECAY_EVERY, GAMMA)
    losses = []
    for batch, classes in zip(images, labels, strict=True):
        inputs = torch.tensor(batch).permute(0, 3, 1, 2)
        loss = criterion(network(inputs), torch.tensor(classes))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    tensors = {k: v.numpy() for k, v in network.state_dict().items()}
    if name == "proxy_nca":
        tensors["proxies"] = criterion.proxies.detach().numpy()
    return losses, tensors


def torch_name(path):
    """The torchvision name of a parameter or statistic of ours."""
    return ".".join(part.key for part in path).removeprefix("backbone.")


def to_torch(tree):
    """Our tensors under torchvision's names and in its layouts."""
    tensors = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        layouts = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}
        tensors[torch_name(path)] = np.asarray(leaf).transpose(layouts[leaf.ndim])
    return tensors


def from_torch(tree, state):
    """A tree like ours with the tensors of a torchvision state dict."""

    def pick(path, leaf):
        layouts = {4: (2, 3, 1, 0), 2: (1, 0), 1: (0,)}
        tensor = state[torch_name(path)].numpy()
        return jnp.array(tensor.transpose(layouts[tensor.ndim]))

    return jax.tree_util.tree_map_with_path(pick, tree)


@pytest.fixture(scope="module")
def jax_run(start):
    """A function ``name -> (losses, tensors)`` over one compiled step.

    All losses are branches of one objective, chosen at run time: compiling a ResNet for
    each would take most of the time.
    """
    state, proxies, images, labels = start
    objectives = [objective_of(config) for config, _ in CASES.values()]

    def objective(embeddings, labels, proxies, hyper):
        choice = hyper.loss["choice"]
        return jax.lax.switch(choice, objectives, embeddings, labels, proxies, hyper)

    with jax.enable_x64(True):
        with short_resnet18(*DEPTHS):
            model = create("resnet18", embedding_dim=DIM)
        params = {"model": model.params, "proxies": jnp.array(proxies)}
        groups = label_groups(params)
        optimizer = make_optimizer(groups)
        loss_of = make_loss(
            model.graphdef, objective, augment=lambda key, images: images, groups=groups
        )
        step = make_step(loss_of, optimizer)

    def run(name):
        with jax.enable_x64(True):
            of_loss = {"margin": CASES[name][1], "scale": 2.0, **MULTI_SIMILARITY}
            of_loss["choice"] = list(CASES).index(name)
            rates = Rates(
                lr=LR,
                head_lr=LR,
                proxies_lr=PROXIES_LR,
                decay_gamma=GAMMA,
                decay_iter_step=DECAY_EVERY,
            )
            hyper = Hyper(rates, of_loss)
            params = {
                "model": from_torch(model.params, state),
                "proxies": jnp.array(proxies),
            }
            train = init_state(params, from_torch(model.batch_stats, state), optimizer)
            losses = []
            for batch, classes in zip(images, labels, strict=True):
                given = (batch, classes), jax.random.key(0), hyper
                train, measured = step(train, *given)
                losses.append(float(measured["loss"]))
            tensors = to_torch(train.params["model"]) | to_torch(train.batch_stats)
            tensors["proxies"] = np.asarray(train.params["proxies"])
            return losses, tensors

    return run


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_ten_training_steps_equal_pytorchs(name, start, jax_run):
    expected_losses, expected = torch_run(name, CASES[name][1], start)
    losses, tensors = jax_run(name)
    # The steps did something: a frozen network would follow a frozen network.
    assert abs(losses[-1] - losses[0]) > 1e-3 * abs(losses[0])
    pairs = zip(losses, expected_losses, strict=True)
    for step, (loss, expected_loss) in enumerate(pairs, start=1):
        topic = f"{TOPIC} losses, float64"
        assert_close(loss, expected_loss, 1e-6, topic, label=f"step {step}")
    names = {key for key in expected if not key.endswith("num_batches_tracked")}
    assert names == set(tensors) - ({"proxies"} - names)
    for key in names:
        topic = f"{TOPIC} tensors, float64"
        assert_close(tensors[key], expected[key], 1e-6, topic, label=key)
        assert tensors[key].dtype == np.float64


def test_every_loss_with_a_reference_is_trained_beside_pytorch():
    assert set(CASES) >= set(REFERENCES)
