"""An objective that draws: its key differs by step and repeats by run."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jml.training import _network_loss as network_loss
from jml.training import init_state, label_groups, make_loss, make_step
from tests.training.one_layer import make_params

pytestmark = pytest.mark.usefixtures("quick_compilation")


def objective(embeddings, labels, proxies, hyper, *, key):
    return jnp.mean(embeddings) + jax.random.uniform(key)


def augment(key, images):
    return images + 0 * jax.random.uniform(key)


def losses_of(seed, monkeypatch):
    def embed(graphdef, params, batch_stats, images, *, train):
        return images @ params["fc"]["weight"], batch_stats

    monkeypatch.setattr(network_loss, "embed", embed)
    params, optimizer = make_params(), optax.sgd(0.0)
    groups = label_groups(params)
    options = {"augment": augment, "groups": groups, "random": True}
    options["diagnostics"] = lambda *_, key: {"drawn": jax.random.uniform(key)}
    step = make_step(make_loss(None, objective, **options), optimizer)
    state, found = init_state(params, {}, optimizer), []
    for _ in range(3):
        batch = np.zeros((4, 3), np.float32), np.arange(4)
        state, measured = step(state, batch, jax.random.key(seed))
        assert measured["drawn"] == measured["loss"]
        found.append(measured["loss"].item())
    return found


def test_each_step_draws_anew_and_a_run_repeats(monkeypatch):
    first = losses_of(0, monkeypatch)
    assert len(set(first)) == 3 and first == losses_of(0, monkeypatch)
    assert not set(first) & set(losses_of(1, monkeypatch))
