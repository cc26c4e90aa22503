"""The training step, with a network of one layer in place of a ResNet."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from jml.models import Model
from jml.training import Config
from jml.training import build as build_module
from jml.training import step as step_module
from jml.training.objective import LOSSES, Hyperparameters, make_objective
from jml.training.step import (
    decay,
    init_state,
    make_optimizer,
    make_step,
)

HYPER = Hyperparameters(
    margin=0.5, lr=0.1, proxies_lr=0.2, decay_gamma=0.5, decay_iter_step=2
)


def embed(graphdef, params, batch_stats, images, *, train):
    mean = images.mean(axis=0) if train else batch_stats["mean"]
    hidden = (images - mean[None]) * params["bn"]["scale"][None]
    return hidden @ params["fc"]["kernel"], {"mean": mean}


@pytest.fixture(autouse=True)
def small_network(monkeypatch):
    monkeypatch.setattr(step_module, "embed", embed)
    mask = {"bn": {"scale": True}, "fc": {"kernel": False}}
    monkeypatch.setattr(step_module, "batch_norm_mask", lambda params: mask)


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    return rng.normal(size=(8, 3)).astype(np.float32), np.repeat(np.arange(4), 2)


def make_params(*, proxies=False):
    rng = np.random.default_rng(1)
    kernel = jnp.asarray(rng.normal(size=(3, 2)), jnp.float32)
    params = {"model": {"bn": {"scale": jnp.ones(3)}, "fc": {"kernel": kernel}}}
    if proxies:
        params["proxies"] = jnp.asarray(rng.normal(size=(4, 2)), jnp.float32)
    return params


def take_steps(
    batch, loss="contrastive", *, count=3, hyper=HYPER, augment=None, **flags
):
    """The parameters and statistics before and after some steps, and the losses."""
    params = make_params(proxies=loss == "proxy_nca")
    before = jax.tree.map(np.asarray, params)
    optimizer = make_optimizer(
        params,
        freeze_bn=flags.get("freeze_bn", False),
        freeze_proxies=flags.pop("freeze_proxies", False),
    )
    step = make_step(
        None,
        make_objective(Config(loss=loss)),
        optimizer,
        augment=augment or (lambda key, images: images),
        **flags,
    )
    state = init_state(params, {"mean": jnp.zeros(3)}, optimizer)
    losses = []
    for _ in range(count):
        state, loss_value = step(state, hyper, jax.random.key(0), *batch)
        losses.append(float(loss_value))
    return before, jax.tree.map(np.asarray, state), losses


def moved(before, after):
    return jax.tree.map(lambda a, b: bool((a != b).any()), before, after)


def test_everything_trains_by_default(batch):
    before, state, losses = take_steps(batch, "proxy_nca")
    assert all(jax.tree.leaves(moved(before, state.params)))
    assert (state.batch_stats["mean"] != 0).all()
    assert state.step == 3
    assert losses[-1] < losses[0]


def test_freeze_bn_leaves_its_parameters_and_statistics(batch):
    before, state, _ = take_steps(batch, freeze_bn=True)
    model = moved(before, state.params)["model"]
    assert model == {"bn": {"scale": False}, "fc": {"kernel": True}}
    assert (state.batch_stats["mean"] == 0).all()


def test_fixed_proxies_stay_where_they_were_drawn(batch):
    before, state, _ = take_steps(batch, "proxy_nca", freeze_proxies=True)
    changes = moved(before, state.params)
    assert not changes["proxies"]
    assert changes["model"]["fc"]["kernel"]


@pytest.mark.parametrize("loss", LOSSES)
def test_numbers_are_traced(batch, loss):
    traces = []

    def augment(key, images):
        traces.append(1)
        return images

    params = make_params(proxies=loss == "proxy_nca")
    optimizer = make_optimizer(params, freeze_bn=False, freeze_proxies=False)
    objective = make_objective(Config(loss=loss))
    step = make_step(None, objective, optimizer, augment=augment)
    state = init_state(params, {"mean": jnp.zeros(3)}, optimizer)
    for number in range(1, 4):
        hyper = Hyperparameters(
            margin=0.1 * number,
            lr=0.01 * number,
            proxies_lr=0.02 * number,
            scale=2 * number,
            decay_gamma=1 / number,
            decay_iter_step=10 * number,
        )
        state, _ = step(state, hyper, jax.random.key(number), *batch)
    assert len(traces) == 1


def test_augmentation_differs_by_step_and_repeats_by_run(batch):
    def noise(key, images):
        return images + 0.1 * jax.random.normal(key, images.shape)

    still = HYPER._replace(lr=0.0)
    _, _, losses = take_steps(batch, augment=noise, hyper=still)
    _, _, again = take_steps(batch, augment=noise, hyper=still)
    assert len(set(losses)) == 3
    assert losses == again


def test_decay_follows_step_lr():
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.Adam([weight], lr=0.3)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=3, gamma=0.7)
    hyper = HYPER._replace(decay_gamma=0.7, decay_iter_step=3)
    for index in range(10):
        expected = optimizer.param_groups[0]["lr"]
        assert 0.3 * decay(hyper, index) == pytest.approx(expected, rel=1e-12)
        optimizer.step()
        scheduler.step()


def test_objectives_pass_on_what_the_config_says(batch):
    from jml.losses import contrastive_loss, proxy_nca_loss, triplet_loss

    embeddings, labels = jnp.asarray(batch[0]), jnp.asarray(batch[1])
    hyper = HYPER._replace(margin=0.7, scale=3.0)
    for convention in ("original", "paper"):
        objective = make_objective(Config(convention=convention))
        expected = contrastive_loss(
            embeddings, labels, margin=0.7, convention=convention
        )
        assert objective(embeddings, labels, None, hyper) == expected
    for mining in ("hardest", "semi", "all"):
        objective = make_objective(Config(loss="triplet", mining=mining))
        expected = triplet_loss(embeddings, labels, margin=0.7, mining=mining)
        assert objective(embeddings, labels, None, hyper) == expected
    proxies = make_params(proxies=True)["proxies"]
    expected = proxy_nca_loss(embeddings[:, :2], labels, proxies, scale=3.0)
    objective = make_objective(Config(loss="proxy_nca"))
    assert objective(embeddings[:, :2], labels, proxies, hyper) == expected


@pytest.mark.parametrize(("flags", "flip"), [({}, False), ({"dataroot": "x"}, True)])
def test_characters_are_not_mirrored(monkeypatch, flags, flip):
    model = Model(None, make_params()["model"], {"mean": jnp.zeros(3)})
    augments = []
    monkeypatch.setattr(build_module, "create", lambda *args, **options: model)
    monkeypatch.setattr(
        build_module, "make_step", lambda *args, augment, **_: augments.append(augment)
    )
    build_module.build(Config(image_size=28, **flags), num_classes=3)
    brighter_rightwards = np.arange(32, dtype=np.uint8)[None, None, :, None]
    images = np.broadcast_to(brighter_rightwards, (64, 32, 32, 3))
    views = augments[0](jax.random.key(0), images)
    assert np.any(views[:, 0, 0, 0] > views[:, 0, -1, 0]) == flip
