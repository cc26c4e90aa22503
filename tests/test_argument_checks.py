"""Arguments that make no sense are refused in one line that names them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jml import data, distances, losses, models, report, training
from jml.training import Checkpoints, fit

X = np.ones((3, 2), np.float32)
LABELS = np.array([0, 0, 1, 1])
IMAGES = np.zeros((1, 8, 8, 3), np.uint8)
KEY = jax.random.key(0)
DRAW = {"seed": 0, "step": 0, "batch_size": 4}


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: fit(None, None, 3, steps=1), "fit: `batches` must be a function"),
        (lambda: fit(None, None, [], steps=-1), "fit: `steps` must be an integer from"),
        (lambda: fit(None, None, [], steps=1.5), "fit: `steps` must be an integer"),
        (lambda: fit(None, None, [], steps=1, every=0), "fit: `every` must be a pos"),
        (
            lambda: fit(None, None, [], steps=1, checkpoints="runs"),
            "fit: `checkpoints` must be a Checkpoints or None, got str",
        ),
        (lambda: Checkpoints("nowhere", keep=0), "Checkpoints: `keep` must be a pos"),
        (
            lambda: models.create("resnet18", embedding_dim=0),
            "create: `embedding_dim` must be a positive integer, got 0",
        ),
        (
            lambda: models.create("resnet18", embedding_dim=8, seed=-1),
            "create: `seed` must be an integer from 0, got -1",
        ),
        (lambda: models.create(18, embedding_dim=8), "`arch`: no network named 18"),
        (lambda: distances.squared_distances([["word"]]), "`x` must be an array"),
        (lambda: distances.squared_distances(X[0]), "`x` must have shape"),
        (lambda: distances.squared_distances(X, X[:, :1]), "`y` must have 2 columns"),
        (lambda: distances.normalize(jnp.ones(3)), "normalize: `x` must have shape"),
        (lambda: distances.normalize(3), "normalize: `x` must be an array"),
    ],
)
def test_a_senseless_argument_is_named(call, words):
    with pytest.raises(ValueError) as caught:
        call()
    assert words in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("call", "argument", "value"),
    [
        (lambda v: data.augment(KEY, v, crop=4, flip=False), "images", [1]),
        (lambda v: data.augment(KEY, IMAGES, crop=v, flip=False), "crop", 2.0),
        (lambda v: data.strong_augment(v, IMAGES, crop=4, flip=True), "key", 0),
        (lambda v: data.center_crop_normalize(IMAGES, crop=v), "crop", "4"),
        (lambda v: data.cub_batch(v, **DRAW), "labels", None),
        (lambda v: data.in_shop_batch(LABELS, **DRAW | {"seed": v}), "seed", -1),
        (lambda v: data.cub_batch(LABELS, **DRAW | {"step": v}), "step", 1.5),
        (
            lambda v: data.cub_batch(LABELS, **DRAW | {"batch_size": v}),
            "batch_size",
            "",
        ),
        (
            lambda v: data.pk_batch(LABELS, **DRAW, images_per_class=v),
            "images_per_class",
            0,
        ),
        *((reader, "root", None) for reader in (data.cars196, data.cub200, data.sop)),
        (data.folder, "root", 3),
        (data.in_shop, "root", []),
        (data.table, "path", "a\0b"),
        (lambda v: data.glyphs(image_size=v), "image_size", 16.5),
        (lambda v: data.decode(v, image_size=8), "listing", {}),
        (lambda v: report.save_plot(v, []), "path", None),
        (lambda v: training.init_state(X, {}, v), "optimizer", "adam"),
        (lambda v: training.make_step(v, None), "loss_of", None),
        (lambda v: fit(v, None, [], steps=1), "step", 3),
        (lambda v: fit(print, v, [], steps=1), "state", {}),
        (lambda v: fit(print, None, [], steps=1, log=v), "log", "a"),
        (Checkpoints, "folder", None),
        (training.data_mesh, "devices", []),
        (training.replicated_sharding, "mesh", 3),
        (training.local_rows, "size", -1),
        (lambda v: training.embed_in_pieces(print, 0, 0, X, size=v), "size", "a"),
        (lambda v: next(training.prefetch(v, [0])), "batch", None),
        (lambda v: training.schedule_factor(v, training.Rates(), 0), "schedule", "x"),
        (training.make_optimizer, "groups", {"a": "head"}),
        (training.label_groups, "params", {}),
        (lambda v: training.label_groups({"model": {}}, freeze=v), "freeze", "fc"),
        (lambda v: models.create("resnet18", embedding_dim=8, weights=v), "weights", 3),
        (lambda v: models.embed(None, {}, {}, v, train=False), "images", X),
        (lambda v: models.to_state_dict(v, {}), "params", "a"),
        (models.batch_norm_mask, "params", None),
        (lambda v: losses.make_objective("triplet", mining=v), "mining", "x"),
        (lambda v: losses.make_diagnostics("triplet", nope=v), "choices", "x"),
        (
            lambda v: losses.make_diagnostics("triplet")(X, LABELS[:3], None, v),
            "hyperparameters",
            {},
        ),
        (distances.euclidean_distances, "squared", "word"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(call, argument, value):
    with pytest.raises(ValueError) as caught:
        call(value)
    assert f"`{argument}`" in str(caught.value) and "\n" not in str(caught.value)
