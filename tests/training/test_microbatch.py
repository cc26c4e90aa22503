"""Batches in pieces: the whole batch's gradient, in the memory of a piece."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jml.app._config import Config
from jml.app._objective import (
    Hyper,
    loss_hyperparameters,
    objective_of,
)
from jml.errors import UserError
from jml.models import create, embed
from jml.training import Rates, embed_in_pieces
from tests.compilation import quickly
from tests.networks import short_resnet18
from tests.parity import assert_close

LABELS = np.array([0, 0, 1, 1, 2, 2, 0, 1])


def net(params, stats, images):
    """Layers that keep large activations."""
    hidden = images
    for _ in range(4):
        hidden = jnp.tanh(hidden @ params)
    return hidden[:, :8], stats


@pytest.mark.parametrize(
    "loss",
    [
        "proxy_nca",
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("contrastive", "vicreg")),
    ],
)
def test_the_gradient_of_microbatches_is_that_of_the_whole_batch(x64, loss):
    keys = jax.random.split(jax.random.key(0), 3)
    images, params, proxies = (
        jax.random.normal(key, shape, float)
        for key, shape in zip(keys, [(8, 16), (16, 16), (3, 8)], strict=True)
    )
    config = Config(loss=loss)
    objective = objective_of(config)
    hyper = Hyper(Rates(), loss_hyperparameters(config))

    def gradients(size):
        def loss_of(params, proxies):
            embeddings, _ = embed_in_pieces(net, params, (), images, size=size)
            return objective(embeddings, LABELS, proxies, hyper)

        return leaves(jax.value_and_grad(loss_of, argnums=(0, 1))(params, proxies))

    whole = gradients(8)
    assert np.abs(whole).max() > 0
    for size in (1, 2, 4):
        topic = "microbatches, float64"
        assert_close(gradients(size), whole, 1e-10, topic, label=f"{size} images")


def leaves(tree):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


@pytest.mark.slow
def test_batch_norm_sees_each_microbatch_by_itself(x64):
    with short_resnet18(1, 1, 0, 0):  # the second block makes x smaller
        graphdef, *trees = create("resnet18", embedding_dim=8, l2norm=True)
    params, stats = jax.tree.map(lambda a: a.astype(float), trees)
    images = jnp.asarray(np.random.default_rng(0).normal(size=(8, 32, 32, 3)))
    config = Config()
    objective = objective_of(config)
    hyper = Hyper(Rates(), loss_hyperparameters(config))
    run = partial(embed, graphdef, train=True)

    def in_pieces(params):
        embeddings, moved = embed_in_pieces(run, params, stats, images, size=4)
        return objective(embeddings, LABELS, None, hyper), moved

    def by_hand(params):
        first, middle = run(params, stats, images[:4])
        second, moved = run(params, middle, images[4:])
        both = jnp.concatenate([first, second])
        return objective(both, LABELS, None, hyper), moved

    with quickly():
        (one, gradients), (other, expected) = (
            jax.jit(jax.value_and_grad(f, has_aux=True))(params)
            for f in (in_pieces, by_hand)
        )
    values = "loss and statistics"
    assert_close(leaves(one), leaves(other), 1e-12, label=values)
    assert_close(leaves(gradients), leaves(expected), 1e-10, label="gradients")


def test_the_memory_of_microbatches_is_that_of_one():
    def step(params, images, size):
        def loss(params):
            embeddings, _ = embed_in_pieces(net, params, (), images, size=size)
            return jnp.sum(embeddings) ** 2

        return jax.grad(loss)(params)

    def temporary(size):
        shapes = jnp.eye(64), jax.ShapeDtypeStruct((4096, 64), jnp.float32)
        lowered = jax.jit(step, static_argnums=2).lower(*shapes, size)
        return lowered.compile().memory_analysis().temp_size_in_bytes

    assert temporary(256) < temporary(4096) / 4


@pytest.mark.parametrize("flag", ["batch_size", "microbatch"])
def test_config_refuses_one_image_that_shrinks_to_one_pixel(flag):
    """Config refuses, in one line, the pieces that BatchNorm cannot normalise."""
    flags = {"sampler": "cub", "loss": "proxy_nca", "batch_size": 6, flag: 1}
    with pytest.raises(UserError, match=rf"^--{flag}: 1 image of --image_size 32 is"):
        Config(image_size=32, **flags)
    for others in ({"image_size": 33}, {"freeze_bn": True}, {flag: 2}):
        Config(**{"image_size": 32, **flags, **others})


def test_one_image_that_shrinks_to_one_pixel_cannot_be_normalised():
    """What Config refuses is what cannot be run."""
    model = create("resnet18", embedding_dim=8)

    def trace(images, side):
        shape = jax.ShapeDtypeStruct((images, side, side, 3), jnp.float32)
        train = partial(embed, *model, train=True)
        return jax.eval_shape(lambda images: train(images)[0], shape).shape

    with pytest.raises(ValueError, match=r"got images x height x width = \(1, 1, 1\);"):
        trace(1, 32)
    assert trace(1, 33) == (1, 8)
    assert trace(2, 32) == (2, 8)


def test_microbatches_must_divide_the_batch():
    for size in (0, 3, 9):
        with pytest.raises(ValueError, match=f"must divide the 8 images, got {size}"):
            embed_in_pieces(net, jnp.eye(4), (), jnp.ones((8, 4)), size=size)
    with pytest.raises(UserError, match=r"--microbatch: 36 does not divide --batch_si"):
        Config(batch_size=96, microbatch=36)
    assert Config(batch_size=96, microbatch=32).microbatch == 32
