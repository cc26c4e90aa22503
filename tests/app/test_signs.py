"""Signs of learning, against their definitions in NumPy."""

import jax.numpy as jnp
import numpy as np
import pytest

from jml.app._config import Config
from jml.app._objective import Hyperparameters
from jml.app._signs import make_signs
from jml.training import Rates

MARGIN = 0.4


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(18) // 3)
    embeddings = rng.normal(size=(6, 4))[labels] * 0.5 + rng.normal(size=(18, 4)) * 0.5
    return embeddings, labels, rng.normal(size=(6, 4))


def signs_of(batch, **options):
    embeddings, labels, proxies = map(jnp.asarray, batch)
    hyper = Hyperparameters(Rates(), margin=MARGIN)
    found = make_signs(Config(**options))(embeddings, labels, proxies, hyper)
    return {name: float(value) for name, value in found.items()}


def distances(x, y):
    return np.sqrt(((x[:, None] - y[None]) ** 2).sum(-1))


def pairs(batch):
    x, labels, _ = batch
    same = labels[:, None] == labels[None]
    return distances(x, x), same & ~np.eye(len(x), dtype=bool), ~same


@pytest.mark.parametrize("loss", ["contrastive", "triplet", "lifted"])
def test_mean_distances(x64, batch, loss):
    found = signs_of(batch, loss=loss)
    d, positive, negative = pairs(batch)
    assert found["positive_distance"] == pytest.approx(d[positive].mean(), rel=1e-9)
    assert found["negative_distance"] == pytest.approx(d[negative].mean(), rel=1e-9)


def test_active_pairs_of_contrastive(x64, batch):
    batch = batch[0] * 0.4, *batch[1:]
    d, _, negative = pairs(batch)
    for convention, power in (("original", 2), ("paper", 1)):
        found = signs_of(batch, convention=convention)["active"]
        expected = np.mean(d[negative] ** power < MARGIN)
        assert found == pytest.approx(expected, rel=1e-6)
        assert 0 < found < 1


def test_active_triplets(x64, batch):
    d, positive, negative = pairs(batch)
    active = {"all": [], "hardest": [], "semi": []}
    for a, p in np.argwhere(positive):
        gaps = d[a, p] ** 2 - d[a, negative[a]] ** 2
        beyond, before = gaps[gaps < 0], gaps[gaps >= 0]
        active["all"] += list(gaps + MARGIN > 0)
        active["hardest"].append(gaps.max() + MARGIN > 0)
        semi = beyond.max() if len(beyond) else before.min()
        active["semi"].append(semi + MARGIN > 0)
    for mining, expected in active.items():
        options = {"loss": "triplet", "mining": mining, "convention": "paper"}
        found = signs_of(batch, **options)["active"]
        assert found == pytest.approx(np.mean(expected), rel=1e-12)
        assert 0 < found


def test_active_pairs_of_lifted(x64, batch):
    # Far apart, negatives push no longer: some terms are below 0 there.
    for scale in (1, 12):
        wide = batch[0] * scale, *batch[1:]
        d, positive, negative = pairs(wide)
        repulsion = [np.exp(MARGIN - d[i, negative[i]]).sum() for i in range(len(d))]
        terms = [
            np.log(repulsion[i] + repulsion[j]) + d[i, j]
            for i, j in np.argwhere(positive)
        ]
        found = signs_of(wide, loss="lifted", convention="paper")["active"]
        assert found == pytest.approx(np.mean(np.array(terms) > 0), rel=1e-12)
    assert found < 1


def test_proxies(x64, batch):
    x, labels, proxies = batch
    unit = [a / np.linalg.norm(a, axis=1, keepdims=True) for a in (x, proxies)]
    d = distances(*unit)
    own = labels[:, None] == np.arange(6)[None]
    found = signs_of(batch, loss="proxy_nca")
    expected = np.mean(d.argmin(axis=1) != labels)
    assert found["active"] == pytest.approx(expected, rel=1e-6)
    assert 0 < found["active"] < 1
    assert found["positive_distance"] == pytest.approx(d[own].mean(), rel=1e-9)
    assert found["negative_distance"] == pytest.approx(d[~own].mean(), rel=1e-9)


@pytest.mark.parametrize("loss", ["contrastive", "triplet", "lifted", "proxy_nca"])
@pytest.mark.parametrize("labels", [np.zeros(4, int), np.arange(4)])
def test_where_there_are_no_pairs_nothing_breaks(loss, labels):
    batch = np.ones((4, 3), np.float32), labels, np.eye(4, 3, dtype=np.float32)
    found = signs_of(batch, loss=loss)
    assert set(found) == {"active", "positive_distance", "negative_distance"}
