"""Arguments that make no sense are refused in one line that names them."""

import jax.numpy as jnp
import numpy as np
import pytest

from jml import distances, models
from jml.training import Checkpoints, fit

X = np.ones((3, 2), np.float32)


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
