"""Training with convolutions in bfloat16."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jml.app._build import build
from jml.app._config import Config
from jml.app._embed import make_embedder
from jml.data import center_crop_normalize
from jml.models import create, embed, with_bfloat16_kernels

pytestmark = pytest.mark.usefixtures("quick_compilation")


@pytest.fixture(scope="module")
def losses():
    """The losses of ten steps on the same images, by precision, and the last states.

    At the rate for trained weights: at that for training from nothing, a hundred times
    as much, rounding alone decides where a network goes after a few steps.
    """
    rng = np.random.default_rng(0)
    labels = np.arange(16) // 4
    colours = rng.integers(0, 256, (4, 1, 1, 3))
    noise = rng.integers(-60, 60, (10, 16, 18, 18, 3))
    images = np.clip(colours[labels] + noise, 0, 255).astype(np.uint8)
    found = {}
    for precision in ("float32", "bfloat16"):
        options = {"arch": "resnet18", "weights": "none", "image_size": 16}
        config = Config(**options, batch_size=16, lr=1e-5, precision=precision)
        training = build(config, num_classes=4)
        state, values = training.state, []
        for batch in images:
            given = (batch, labels), training.key, training.hyper
            state, measured = training.step(state, *given)
            values.append(float(measured["loss"]))
        found[precision] = values, state
    return found


@pytest.mark.slow
def test_ten_steps_in_bfloat16_stay_within_two_percent(losses):
    full, half = losses["float32"][0], losses["bfloat16"][0]
    assert full != half
    np.testing.assert_allclose(half, full, rtol=0.02)


@pytest.mark.slow
def test_training_in_bfloat16_keeps_parameters_and_statistics_in_float32(losses):
    _, state = losses["bfloat16"]
    dtypes = {leaf.dtype for leaf in jax.tree.leaves((state.params, state.batch_stats))}
    assert dtypes == {jnp.dtype("float32")}


@pytest.mark.slow
def test_embeddings_by_bfloat16_kernels_are_float32_and_near():
    graphdef, params, stats = create("resnet18", embedding_dim=8, l2norm=True)
    images = jax.random.normal(jax.random.key(0), (4, 32, 32, 3))
    run = jax.jit(partial(embed, graphdef, train=False))
    full, _ = run(params, stats, images)
    half, _ = run(with_bfloat16_kernels(params), stats, images)
    assert half.dtype == full.dtype == jnp.float32
    assert 1e-4 < np.abs(half - full).max() < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_run_is_evaluated_in_the_precision_of_its_training(precision):
    model = create("resnet18", embedding_dim=8, l2norm=True)
    config = Config(arch="resnet18", weights="none", image_size=16, precision=precision)
    images = np.random.default_rng(0).integers(0, 256, (5, 18, 18, 3), np.uint8)
    found = make_embedder(model.graphdef, config)(
        model.params, model.batch_stats, images, 5
    )
    half = precision == "bfloat16"
    params = with_bfloat16_kernels(model.params) if half else model.params
    squares = center_crop_normalize(images, crop=16)
    run = jax.jit(partial(embed, model.graphdef, train=False))
    expected, _ = run(params, model.batch_stats, squares)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-3 if half else 1e-6)
    if half:
        full, _ = run(model.params, model.batch_stats, squares)
        assert np.abs(found - full).max() > 1e-4
