"""The training step, with a network of one layer in place of a ResNet."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jml._loss_specs import SPECS
from jml.app import _build as build_module
from jml.app._config import Config
from jml.app._objective import Hyperparameters, make_diagnostics, make_objective
from jml.errors import UserError
from jml.models import Model
from jml.training import (
    Rates,
    init_state,
    label_groups,
    make_loss,
    make_optimizer,
    make_step,
)
from jml.training import _network_loss as network_loss

RATES = Rates(lr=0.1, head_lr=0.1, proxies_lr=0.2, decay_gamma=0.5, decay_iter_step=2)
HYPER = Hyperparameters(RATES, {"margin": 0.5, "scale": 1.0}, ema=0.5)


def embed(graphdef, params, batch_stats, images, *, train):
    mean = images.mean(axis=0) if train else batch_stats["mean"]
    hidden = (images - mean[None]) * params["backbone"]["bn"]["weight"][None]
    return hidden @ params["fc"]["weight"], {"mean": mean}


@pytest.fixture(autouse=True)
def small_network(monkeypatch):
    monkeypatch.setattr(network_loss, "embed", embed)


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    return rng.normal(size=(8, 3)).astype(np.float32), np.repeat(np.arange(4), 2)


def make_params(*, proxies=False):
    rng = np.random.default_rng(1)
    kernel = jnp.asarray(rng.normal(size=(3, 2)), jnp.float32)
    backbone = {"bn": {"weight": jnp.ones(3)}}
    params = {"model": {"backbone": backbone, "fc": {"weight": kernel}}}
    if proxies:
        params["proxies"] = jnp.asarray(rng.normal(size=(4, 2)), jnp.float32)
    return params


def compiled(params, loss="contrastive", *, augment=None, skip_nan=False, **flags):
    """A step, and the optimizer it takes the state of."""
    freeze_bn = flags.get("freeze_bn", False)
    groups = label_groups(params, **flags)
    optimizer = make_optimizer(groups)
    config = Config(loss=loss)
    loss_of = make_loss(
        None,
        make_objective(config),
        augment=augment or (lambda key, images: images),
        groups=groups,
        diagnostics=make_diagnostics(config),
        freeze_bn=freeze_bn,
    )
    return make_step(loss_of, optimizer, skip_nan=skip_nan), optimizer


def take_steps(
    batch, loss="contrastive", *, count=3, hyper=HYPER, average=False, **flags
):
    """The parameters before and the state after some steps, and the losses."""
    params = make_params(proxies=loss == "proxy_nca")
    before = jax.tree.map(np.asarray, params)
    step, optimizer = compiled(params, loss, **flags)
    state = init_state(params, {"mean": jnp.zeros(3)}, optimizer, average=average)
    losses = []
    for number in range(count):
        given = batch[number] if isinstance(batch, list) else batch
        state, measured = step(state, given, jax.random.key(0), hyper)
        losses.append(measured["loss"].item())
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
    assert model == {"backbone": {"bn": {"weight": False}}, "fc": {"weight": True}}
    assert (state.batch_stats["mean"] == 0).all()


def test_fixed_proxies_stay_where_they_were_drawn(batch):
    before, state, _ = take_steps(batch, "proxy_nca", freeze_proxies=True)
    changes = moved(before, state.params)
    assert not changes["proxies"]
    assert changes["model"]["fc"]["weight"]


@pytest.mark.parametrize("loss", SPECS)
def test_numbers_are_traced(batch, loss):
    traces = []

    def augment(key, images):
        traces.append(1)
        return images

    params = make_params(proxies=loss == "proxy_nca")
    step, optimizer = compiled(params, loss, augment=augment)
    state = init_state(params, {"mean": jnp.zeros(3)}, optimizer)
    for number in range(1, 4):
        rates = Rates(**{name: 0.1 * number for name in Rates._fields})
        of_loss = {n: number * v for n, v in SPECS[loss].defaults().items()}
        hyper = Hyperparameters(rates, of_loss, ema=0.1 * number)
        state, _ = step(state, batch, jax.random.key(number), hyper)
    assert len(traces) == 1


def test_augmentation_differs_by_step_and_repeats_by_run(batch):
    def noise(key, images):
        return images + 0.1 * jax.random.normal(key, images.shape)

    still = HYPER._replace(rates=RATES._replace(lr=0.0, head_lr=0.0))
    _, _, losses = take_steps(batch, augment=noise, hyper=still)
    _, _, again = take_steps(batch, augment=noise, hyper=still)
    assert len(set(losses)) == 3
    assert losses == again


def test_a_layer_can_be_frozen(batch):
    before, state, _ = take_steps(batch, freeze=("fc",))
    model = moved(before, state.params)["model"]
    assert model == {"backbone": {"bn": {"weight": True}}, "fc": {"weight": False}}


@pytest.mark.parametrize(
    ("layer", "words"), [("fc2", "choose from bn, fc"), ("bn.x", "choose from bn.")]
)
def test_an_unknown_layer_is_one_line(layer, words):
    with pytest.raises(UserError, match=f"`freeze`: no layer {layer!r}; {words}"):
        label_groups(make_params(), freeze=(layer,))


def with_nan(batch):
    return np.full_like(batch[0], np.nan), batch[1]


def test_a_step_that_is_not_finite_stops_all_change(batch):
    _, expected, _ = take_steps(batch, count=1)
    _, state, losses = take_steps([batch, with_nan(batch), batch], count=3)
    assert np.isnan(losses[1]) and np.isfinite(losses[2])
    assert state.halted and state.step == 1
    for found, wanted in zip(
        jax.tree.leaves(state._replace(halted=False)),
        jax.tree.leaves(expected._replace(halted=False)),
        strict=True,
    ):
        np.testing.assert_array_equal(found, wanted)


def test_or_is_passed_over_and_counted(batch):
    _, once, _ = take_steps(batch, count=1)
    flags = {"skip_nan": True, "count": 2}
    _, state, _ = take_steps([batch, with_nan(batch)], **flags)
    assert (state.step, state.skipped, state.halted) == (2, 1, False)
    for found, wanted in zip(
        jax.tree.leaves((state.params, state.batch_stats, state.opt_state)),
        jax.tree.leaves((once.params, once.batch_stats, once.opt_state)),
        strict=True,
    ):
        np.testing.assert_array_equal(found, wanted)


def test_the_average_follows_its_definition(batch):
    states = [take_steps(batch, count=n)[1] for n in range(4)]
    expected = states[0].params, states[0].batch_stats
    for number, state in enumerate(states[1:]):
        decay = min(HYPER.ema, (1 + number) / (10 + number))
        expected = jax.tree.map(
            lambda old, new, d=decay: d * old + (1 - d) * new,
            expected,
            (state.params, state.batch_stats),
        )
    _, state, _ = take_steps(batch, average=True)
    assert state.to_evaluate is state.average
    for found, wanted in zip(
        jax.tree.leaves(state.average), jax.tree.leaves(expected), strict=True
    ):
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_objectives_pass_on_what_the_config_says(batch):
    from jml.losses import contrastive_loss, proxy_nca_loss, triplet_loss

    embeddings, labels = jnp.asarray(batch[0]), jnp.asarray(batch[1])
    hyper = HYPER._replace(loss={"margin": 0.7, "scale": 3.0})
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


def test_flags_reach_what_they_are_for(monkeypatch):
    model = Model(None, make_params()["model"], {"mean": jnp.zeros(3)})
    monkeypatch.setattr(build_module, "create", lambda *args, **options: model)
    given = {}
    for name in ("label_groups", "make_optimizer", "make_loss", "make_step"):
        function = getattr(build_module, name)

        def spy(*args, name=name, function=function, **options):
            given.update({f"{name} {key}": value for key, value in options.items()})
            return function(*args, **options)

        monkeypatch.setattr(build_module, name, spy)
    flags = {
        "optimizer": "lion",
        "schedule": "cosine",
        "clip_norm": 2.5,
        "ema": 0.75,
        "freeze": "fc, bn,",
        "head_lr": 0.125,
        "on_nan": "skip",
        "microbatch": 12,
        "freeze_bn": True,
        "precision": "bfloat16",
        "warmup": 7,
        "weight_decay": 0.0625,
        "momentum": 0.5,
    }
    training = build_module.build(Config(loss="proxy_nca", **flags), num_classes=3)
    expected = {
        "label_groups freeze": ("fc", "bn"),
        "label_groups freeze_bn": True,
        "label_groups freeze_proxies": False,
        "make_optimizer optimizer": "lion",
        "make_optimizer schedule": "cosine",
        "make_optimizer clip": True,
        "make_loss microbatch": 12,
        "make_loss bfloat16": True,
        "make_loss freeze_bn": True,
        "make_step skip_nan": True,
    }
    assert {name: given[name] for name in expected} == expected
    assert training.state.average is not None
    rates = training.hyper.rates
    for name in ("clip_norm", "head_lr", "warmup", "weight_decay", "momentum"):
        assert getattr(rates, name) == flags[name]
    assert training.hyper.ema == 0.75
    assert build_module.build(Config(lr=0.5), num_classes=3).hyper.rates.head_lr == 0.5


@pytest.mark.parametrize(("flags", "flip"), [({}, False), ({"dataroot": "x"}, True)])
def test_characters_are_not_mirrored(monkeypatch, flags, flip):
    model = Model(None, make_params()["model"], {"mean": jnp.zeros(3)})
    augments = []
    monkeypatch.setattr(build_module, "create", lambda *args, **options: model)
    monkeypatch.setattr(
        build_module, "make_loss", lambda *args, augment, **_: augments.append(augment)
    )
    build_module.build(Config(image_size=28, **flags), num_classes=3)
    brighter_rightwards = np.arange(32, dtype=np.uint8)[None, None, :, None]
    images = np.broadcast_to(brighter_rightwards, (64, 32, 32, 3))
    views = augments[0](jax.random.key(0), images)
    assert np.any(views[:, 0, 0, 0] > views[:, 0, -1, 0]) == flip
