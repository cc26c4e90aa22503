"""Distances of items to classes, made in tiles, against their definition in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np

from jml.losses import make_diagnostics
from jml.tiles import ClassBatch, class_distances


def test_distances_of_tiles_are_those_of_the_whole_matrix(x64):
    rng = np.random.default_rng(0)
    x, weights = rng.normal(size=(9, 4)), rng.normal(size=(17, 3, 4))
    labels, classes = rng.integers(0, 20, 9), rng.permutation(20)[:17]
    classes[:2] = -1  # rows that stand for no class
    unit = weights / np.linalg.norm(weights, axis=2, keepdims=True)
    d = np.linalg.norm(x[:, None, None] - unit[None], axis=3).min(axis=2)
    own = labels[:, None] == classes[None]
    other = (classes >= 0)[None] & ~own

    @jax.jit
    def measure(weights):
        options = {"classes": jnp.asarray(classes), "block_size": 5}
        batch = ClassBatch(jnp.asarray(x), jnp.asarray(labels), weights, **options)
        return class_distances("measure", batch)

    found = measure(weights)
    expected = np.min(d, axis=1, where=own, initial=np.inf)
    np.testing.assert_allclose(found.own, expected, rtol=1e-9)
    assert 0 < np.isinf(expected).sum() < 9
    expected = np.min(d, axis=1, where=other, initial=np.inf)
    np.testing.assert_allclose(found.nearest, expected, rtol=1e-9)
    np.testing.assert_allclose(found.total, d.sum(axis=1, where=other), rtol=1e-9)
    np.testing.assert_array_equal(found.others, other.sum(axis=1))
    np.testing.assert_array_equal(found.known, own.any(axis=1))


def test_diagnostics_of_a_million_classes_keep_no_matrix():
    numbers = dict.fromkeys(("scale", "margin", "label_smoothing"), 0.2)
    diagnostics = make_diagnostics("arcface")
    shapes = ((256, 128), jnp.float32), ((256,), jnp.int32), ((10**6, 128), jnp.float32)
    batch = [jax.ShapeDtypeStruct(*shape) for shape in shapes]
    run = jax.jit(lambda *batch: diagnostics(*batch, numbers))
    memory = run.lower(*batch).compile().memory_analysis()
    assert memory.temp_size_in_bytes < 64 * 2**20
