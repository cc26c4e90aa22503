"""``--centers``, ``--sample_classes``, ``--shard_classes``: class weights of a run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractMesh

from jml import losses
from jml.app import _build as build_module
from jml.app._build import build
from jml.app._class_weights import ClassPlan, draw_weights, plan_classes
from jml.app._config import Config, parse
from jml.app._objective import (
    Hyper,
    diagnostics_of,
    loss_hyperparameters,
    objective_of,
)
from jml.errors import UserError
from jml.models import Model
from jml.training import Checkpoints, Rates, data_mesh, fit
from jml.training import _network_loss as network_loss
from tests.training.one_layer import make_params

pytestmark = pytest.mark.usefixtures("quick_compilation")
RNG = np.random.default_rng(0)
X, LABELS = jnp.asarray(RNG.normal(size=(8, 2)), jnp.float32), jnp.arange(8) // 2
EIGHT = AbstractMesh((8,), ("data",))


@pytest.mark.parametrize(
    ("flags", "mesh", "line"),
    [
        (
            {"sample_classes": 101},
            None,
            "--sample_classes: 101 is more than the 100 classes to train on; pass 100"
            " or fewer.",
        ),
        (
            {"sample_classes": 47},
            None,
            "--sample_classes: 47 may lack classes of a batch, which can have 48; pass"
            " 48 or more, or a smaller --batch_size.",
        ),
        (
            {"sample_classes": 20, "sampler": "cub", "batch_size": 30},
            None,
            "--sample_classes: 20 may lack classes of a batch, which can have 30; pass"
            " 30 or more, or a smaller --batch_size.",
        ),
        (
            {"sample_classes": 20, "batch_size": 16, "shard_classes": True},
            EIGHT,
            "--sample_classes: 20 may lack classes of a batch, which can have 8 in the"
            " part of each of 8 devices; pass 64 or more, or a smaller --batch_size.",
        ),
    ],
)
def test_a_sample_that_does_not_fit_is_one_line(flags, mesh, line):
    with pytest.raises(UserError) as error:
        plan_classes(Config(loss="arcface", **flags), 100, mesh)
    assert str(error.value) == line


def test_rows_are_filled_up_where_devices_share_them_and_a_line_says_so():
    config = Config(loss="cosface", shard_classes=True, sample_classes=400)
    plan = plan_classes(config, 970, EIGHT)
    assert plan == ClassPlan(970, 1024, sample=50, mesh=EIGHT)
    (note,) = plan.notes
    assert "970 classes have 1024 rows of weights, a multiple of 64" in note
    assert plan_classes(config, 1024, EIGHT).notes == ()
    alone = plan_classes(Config(loss="cosface", sample_classes=970), 970, EIGHT)
    assert alone == ClassPlan(970, 970)  # a sample of all is no sample
    assert plan_classes(Config(), 970, EIGHT) is None


def test_processes_do_not_share_classes(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    config = Config(loss="arcface", shard_classes=True)
    with pytest.raises(UserError, match=r"^--shard_classes: .* got 2 processes; leave"):
        plan_classes(config, 100, EIGHT)


def test_centers_are_drawn_for_each_class():
    key, plan = jax.random.key(0), ClassPlan(5, 5)
    config = Config(loss="arcface", centers=3, embedding_dim=4)
    assert draw_weights(config, plan, key).shape == (5, 3, 4)
    one = draw_weights(Config(loss="arcface", embedding_dim=4), plan, key)
    assert (one == losses.init_proxies(key, num_classes=5, dim=4)).all()
    assert parse(["--loss=arcface"]).centers == 1
    assert parse(["--loss=proxy_nca"]).centers is None


def test_a_sample_has_the_loss_of_the_drawn_rows():
    key, plan = jax.random.key(3), ClassPlan(20, 20, sample=12)
    weights = jnp.asarray(RNG.normal(size=(20, 2)), jnp.float32)
    config = Config(loss="cosface", scale=1.0, margin=0.5)
    rows, classes = losses.sample_classes(key, LABELS, num_classes=20, size=12)
    expected = losses.cosface_loss(
        X, LABELS, weights[rows], classes=classes, scale=1.0, margin=0.5
    )
    objective, diagnostics = (f(config, plan) for f in (objective_of, diagnostics_of))

    hyper = Hyper(Rates(), loss_hyperparameters(config))

    @jax.jit
    def measure(labels):
        batch = X, labels, weights, hyper
        return objective(*batch, key=key), diagnostics(*batch, key=key)

    found, measured = measure(LABELS)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert measured["unknown_labels"] == 0
    assert measure(LABELS - 1)[1]["unknown_labels"] == 2


# The second draws margins, the third has running lengths.
@pytest.mark.parametrize("loss", ["arcface", "elasticface", "adaface"])
def test_a_run_with_a_sample_of_shared_centers_goes_on_where_it_was_cut(
    tmp_path, monkeypatch, loss
):
    def embed(graphdef, params, batch_stats, images, *, train):
        return jnp.mean(images, axis=(1, 2)) @ params["fc"]["weight"], batch_stats

    def create(*arguments, **options):
        return Model(None, make_params()["model"], {})

    monkeypatch.setattr(network_loss, "embed", embed)
    monkeypatch.setattr(build_module, "create", create)
    options = {"embedding_dim": 2, "image_size": 16, "batch_size": 8, "ema": 0.5}
    flags = {"centers": 2, "sample_classes": 6, "shard_classes": True}
    config, mesh = Config(loss=loss, **options, **flags), data_mesh()
    start = lambda: build(config, num_classes=10, mesh=mesh)  # noqa: E731
    training = start()

    def batch(step):
        rng = np.random.default_rng(step)
        images = rng.integers(0, 256, (8, 18, 18, 3)).astype(np.uint8)
        return images, np.repeat(rng.permutation(10)[:4], 2).astype(np.int32)

    def train(state, steps, checkpoints=None):
        return fit(
            training.step,
            state,
            batch,
            steps=steps,
            key=training.key,
            hyper=training.hyper,
            checkpoints=checkpoints,
            mesh=mesh,
        )

    first, checkpoints = start().state, Checkpoints(tmp_path)
    train(start().state, 2, checkpoints)
    checkpoints.close()
    cut = train(Checkpoints(tmp_path).restore(start().state), 4)
    whole = train(training.state, 4)
    jax.tree.map(np.testing.assert_array_equal, cut, whole)
    assert (whole.memory is None) == (loss != "adaface")
    assert loss != "adaface" or whole.memory.mean != 20
    weights = np.asarray(whole.params["proxies"])
    moved = weights != np.asarray(first.params["proxies"])
    assert weights.shape == (64, 2, 2) and not weights[10:].any()
    assert moved[:10].any(axis=(1, 2)).sum() >= 6


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--loss=arcface", "--margin=28.6"], "--margin: 28.6 must be at most 3.14"),
        (
            ["--loss=magface", "--max_length=5"],
            "--min_length: 10.0 must be below --max",
        ),
    ],
)
def test_margins_and_lengths_have_limits(flags, line):
    with pytest.raises(UserError, match=line):
        parse(flags)
