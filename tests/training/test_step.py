"""The training step, with a network of one layer in place of a ResNet."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jml._loss_specs import SPECS
from jml.app._config import Config
from jml.app._objective import Hyper, diagnostics_of, objective_of
from jml.errors import UserError
from jml.training import (
    Rates,
    init_state,
    label_groups,
    make_loss,
    make_optimizer,
    make_step,
)
from jml.training import _network_loss as network_loss
from tests.training.one_layer import HYPER, RATES, make_params

pytestmark = pytest.mark.usefixtures("quick_compilation")


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


def params_for(loss):
    return make_params(proxies=loss == "proxy_nca")


@cache  # tests take the same steps, and compile them once
def compiled(loss="contrastive", *, augment=None, skip_nan=False, **flags):
    """A step, and the optimizer it takes the state of."""
    params = params_for(loss)
    freeze_bn = flags.get("freeze_bn", False)
    groups = label_groups(params, **flags)
    optimizer = make_optimizer(groups)
    config = Config(loss=loss)
    loss_of = make_loss(
        None,
        objective_of(config),
        augment=augment or (lambda key, images: images),
        groups=groups,
        diagnostics=diagnostics_of(config),
        freeze_bn=freeze_bn,
    )
    return make_step(loss_of, optimizer, skip_nan=skip_nan), optimizer


def take_steps(
    batch, loss="contrastive", *, count=3, hyper=HYPER, average=False, **flags
):
    """The parameters before and the state after some steps, and the losses."""
    params = params_for(loss)
    before = jax.tree.map(np.asarray, params)
    step, optimizer = compiled(loss, **flags)
    state = init_state(params, {"mean": jnp.zeros(3)}, optimizer, average=average)
    losses = []
    for number in range(count):
        given = batch[number] if isinstance(batch, list) else batch
        state, measured = step(state, given, jax.random.key(0), hyper)
        losses.append(measured["loss"].item())
    return before, jax.tree.map(np.asarray, state), losses


def moved(before, after):
    return jax.tree.map(lambda a, b: bool((a != b).any()), before, after)


def test_a_step_trains_all_parameters_by_default(batch):
    before, state, losses = take_steps(batch, "proxy_nca")
    assert all(jax.tree.leaves(moved(before, state.params)))
    assert (state.batch_stats["mean"] != 0).all()
    assert state.step == 3
    assert losses[-1] < losses[0]


def test_freeze_bn_keeps_batch_norm_as_it_is(batch):
    before, state, _ = take_steps(batch, freeze_bn=True)
    model = moved(before, state.params)["model"]
    assert model == {"backbone": {"bn": {"weight": False}}, "fc": {"weight": True}}
    assert (state.batch_stats["mean"] == 0).all()


def test_fixed_proxies_stay_where_they_were_drawn(batch):
    before, state, _ = take_steps(batch, "proxy_nca", freeze_proxies=True)
    changes = moved(before, state.params)
    assert not changes["proxies"]
    assert changes["model"]["fc"]["weight"]


@pytest.mark.parametrize(
    "loss",
    [
        pytest.param(name, marks=() if name == "contrastive" else pytest.mark.slow)
        for name in ("contrastive", "proxy_nca", "vicreg")
    ],
)
def test_another_value_of_a_hyperparameter_compiles_no_other_step(batch, loss):
    traces = []

    def augment(key, images):
        traces.append(1)
        return images

    params = params_for(loss)
    step, optimizer = compiled(loss, augment=augment)
    state = init_state(params, {"mean": jnp.zeros(3)}, optimizer)
    for number in range(1, 4):
        rates = Rates(**{name: 0.1 * number for name in Rates._fields})
        of_loss = {n: number * v for n, v in SPECS[loss].defaults().items()}
        hyper = Hyper(rates, of_loss, ema=0.1 * number)
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
def test_an_unknown_layer_to_freeze_is_one_line(layer, words):
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


def test_skip_nan_skips_and_counts_a_step_that_is_not_finite(batch):
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


def test_the_average_of_parameters_follows_its_definition(batch):
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
