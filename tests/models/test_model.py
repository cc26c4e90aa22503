"""The model's own promises: BatchNorm, purity, initial weights, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jml.errors import UserError
from jml.models import ARCHITECTURES, batch_norm_mask, create, embed
from jml.models._layers._batch_norm import BatchNorm

pytestmark = pytest.mark.usefixtures("quick_compilation")


@pytest.fixture(scope="module")
def model():
    return create("resnet18", embedding_dim=8, l2norm=True)


@pytest.fixture(scope="module")
def run(model):
    return jax.jit(
        lambda trees, images, train: embed(model.graphdef, *trees, images, train=train),
        static_argnums=2,
    )


def images(count: int, size: int = 32) -> np.ndarray:
    rng = np.random.default_rng(count)
    return rng.standard_normal((count, size, size, 3), np.float32)


def test_evaluation_embeds_each_image_on_its_own(model, run):
    batch = images(4)
    together, stats = run(model[1:], batch, False)
    alone = [run(model[1:], batch[i : i + 1], False)[0][0] for i in range(4)]
    np.testing.assert_allclose(together, np.stack(alone), atol=1e-6)
    jax.tree.map(np.testing.assert_array_equal, stats, model.batch_stats)


def test_training_moves_every_batch_statistic(model, run):
    _, stats = run(model[1:], images(4), True)
    moved = jax.tree.map(lambda a, b: bool((a != b).all()), stats, model.batch_stats)
    assert jax.tree.all(moved)


def test_l2norm_gives_rows_of_length_one(model, run):
    embeddings, _ = run(model[1:], images(4), True)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, rtol=1e-6)


def test_running_variance_is_the_unbiased_one():
    layer, values = BatchNorm(2), np.random.default_rng(0).normal(3, 2, (2, 2, 1, 2))
    layer(jnp.asarray(values, jnp.float32), train=True)
    values = values.reshape(-1, 2)
    mean, var = values.mean(0), values.var(0, ddof=1)
    np.testing.assert_allclose(layer.running_mean[...], 0.1 * mean, rtol=1e-6)
    np.testing.assert_allclose(layer.running_var[...], 0.9 + 0.1 * var, rtol=1e-6)


def test_batch_statistics_of_half_precision_are_float32():
    layer, x = BatchNorm(1), np.random.default_rng(0).normal(100, 1, (64, 4, 4, 1))
    y = layer(jnp.asarray(x, jnp.bfloat16), train=True)
    assert y.dtype == jnp.bfloat16
    assert layer.running_var[...].dtype == jnp.float32
    rounded = np.asarray(jnp.asarray(x, jnp.bfloat16), np.float64)
    expected = 0.9 + 0.1 * rounded.var(ddof=1)
    np.testing.assert_allclose(layer.running_var[...], expected, rtol=1e-4)


def test_batch_norm_refuses_one_value_per_channel():
    with pytest.raises(ValueError, match="more than one value per channel"):
        BatchNorm(3)(jnp.ones((1, 1, 1, 3)), train=True)
    assert BatchNorm(3)(jnp.ones((1, 1, 1, 3)), train=False).shape == (1, 1, 1, 3)


def test_the_mask_of_batch_norms_marks_them_only(model):
    marked = jax.tree.leaves_with_path(batch_norm_mask(model.params))
    assert len(marked) == len(jax.tree.leaves(model.params))
    for path, value in marked:
        layer = path[-2].key
        assert value == (layer.startswith("bn") or layer == "1"), path


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_initial_weights_are_distributed_as_torchvisions(arch):
    params = create(arch, embedding_dim=300, seed=3).params
    for path, x in jax.tree.leaves_with_path(params):
        x, name = np.asarray(x, np.float64), path[-1].key
        if x.ndim == 4:  # Kaiming normal, fan out
            std = np.sqrt(2 / (x.shape[3] * x.shape[0] ** 2))
            assert abs(x.std() / std - 1) < 0.05
            assert np.abs(x).max() > 3 * std
        elif x.ndim == 2 or path[-2].key == "fc":
            bound = 1 / np.sqrt(params["fc"]["weight"].shape[0])
            assert 0.95 * bound < np.abs(x).max() <= bound
        else:
            np.testing.assert_array_equal(x, 1 if name == "weight" else 0)


def test_the_seed_alone_decides_the_initial_weights():
    first, again, other = (
        create("resnet18", embedding_dim=4, seed=seed).params["fc"]["weight"]
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).all()


def test_an_unknown_network_is_a_users_mistake():
    with pytest.raises(UserError, match="`arch`: no network named 'resnet19'"):
        create("resnet19", embedding_dim=4)
