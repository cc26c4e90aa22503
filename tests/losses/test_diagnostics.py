"""Diagnostics of losses, against their definitions in NumPy."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jml._loss_specs import SPECS
from jml.losses._diagnostics import ACTIVE, make_diagnostics

pytestmark = pytest.mark.usefixtures("quick_compilation")

MARGIN = 0.4
# A loss for each way to compute them.
KINDS = {
    (spec.diagnostics, spec.unit_length, spec.views, spec.proxies is None): name
    for name, spec in reversed(SPECS.items())
}.values()


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(18) // 3)
    embeddings = rng.normal(size=(6, 4))[labels] * 0.5 + rng.normal(size=(18, 4)) * 0.5
    return embeddings, labels, rng.normal(size=(6, 4))


def diagnostics_of(batch, loss, *, margin=MARGIN, **choices):
    """In one program, as a step has them; their example has them without."""
    spec = SPECS[loss]
    choices = {choice.name: choice.default for choice in spec.choices} | choices
    hyperparameters = spec.defaults() | {"margin": margin}
    embeddings, labels, proxies = map(jnp.asarray, batch)
    measured = jax.jit(make_diagnostics(loss, **choices))(
        embeddings, labels, proxies, hyperparameters
    )
    return {name: float(value) for name, value in measured.items()}


def distances(x, y):
    return np.sqrt(((x[:, None] - y[None]) ** 2).sum(-1))


def pairs(batch):
    x, labels, _ = batch
    same = labels[:, None] == labels[None]
    return distances(x, x), same & ~np.eye(len(x), dtype=bool), ~same


@pytest.mark.parametrize(
    "loss",
    [
        pytest.param(n, marks=() if n == "contrastive" else pytest.mark.slow)
        for n in KINDS
        if SPECS[n].proxies is None
    ],
)
def test_diagnostics_hold_mean_distances(x64, batch, loss):
    found = diagnostics_of(batch, loss)
    if SPECS[loss].unit_length:
        x = batch[0]
        batch = x / np.linalg.norm(x, axis=1, keepdims=True), *batch[1:]
    d, positive, negative = pairs(batch)
    assert found["positive_distance"] == pytest.approx(d[positive].mean(), rel=1e-9)
    assert found["negative_distance"] == pytest.approx(d[negative].mean(), rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("loss", "choice"),
    [("n_pairs", {"similarity": "dot"}), ("nca", {"normalized": False})],
)
def test_diagnostics_of_embeddings_as_they_are(x64, batch, loss, choice):
    """Where a loss is told not to scale embeddings, neither do its diagnostics."""
    found = diagnostics_of(batch, loss, **choice)
    d, positive, _ = pairs(batch)
    assert found["positive_distance"] == pytest.approx(d[positive].mean(), rel=1e-9)


@pytest.mark.parametrize(("convention", "power"), [("original", 2), ("paper", 1)])
def test_active_pairs_of_contrastive(x64, batch, convention, power):
    batch = batch[0] * 0.4, *batch[1:]
    d, _, negative = pairs(batch)
    found = diagnostics_of(batch, "contrastive", convention=convention)["active"]
    expected = np.mean(d[negative] ** power < MARGIN)
    assert found == pytest.approx(expected, rel=1e-6)
    assert 0 < found < 1


@pytest.mark.parametrize(
    "mining",
    ["semi", *(pytest.param(m, marks=pytest.mark.slow) for m in ("all", "hardest"))],
)
def test_active_triplets(x64, batch, mining):
    d, positive, negative = pairs(batch)
    active = {"all": [], "hardest": [], "semi": []}
    for a, p in np.argwhere(positive):
        gaps = d[a, p] ** 2 - d[a, negative[a]] ** 2
        beyond, before = gaps[gaps < 0], gaps[gaps >= 0]
        active["all"] += list(gaps + MARGIN > 0)
        active["hardest"].append(gaps.max() + MARGIN > 0)
        semi = beyond.max() if len(beyond) else before.min()
        active["semi"].append(semi + MARGIN > 0)
    options = {"mining": mining, "convention": "paper"}
    found = diagnostics_of(batch, "triplet", **options)["active"]
    assert found == pytest.approx(np.mean(active[mining]), rel=1e-12)
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
        found = diagnostics_of(wide, "lifted", convention="paper")["active"]
        assert found == pytest.approx(np.mean(np.array(terms) > 0), rel=1e-12)
    assert found < 1


def test_diagnostics_of_proxies(x64, batch):
    x, labels, proxies = batch
    unit = [a / np.linalg.norm(a, axis=1, keepdims=True) for a in (x, proxies)]
    d = distances(*unit)
    own = labels[:, None] == np.arange(6)[None]
    found = diagnostics_of(batch, "proxy_nca")
    expected = np.mean(d.argmin(axis=1) != labels)
    assert found["active"] == pytest.approx(expected, rel=1e-6)
    assert 0 < found["active"] < 1
    assert found["positive_distance"] == pytest.approx(d[own].mean(), rel=1e-9)
    assert found["negative_distance"] == pytest.approx(d[~own].mean(), rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("loss", KINDS)
@pytest.mark.parametrize("labels", [np.zeros(4, int), np.arange(4)])
def test_diagnostics_without_pairs_are_complete(loss, labels):
    batch = np.ones((4, 3), np.float32), labels, np.eye(4, 3, dtype=np.float32)
    found = diagnostics_of(batch, loss)
    names = {"active", "positive_distance", "negative_distance"}
    if SPECS[loss].proxies is not None:
        names.add("unknown_labels")
    assert set(found) == names


@pytest.fixture
def without_diagnostics(monkeypatch):
    """Triplet loss as a loss of which the table knows no diagnostics."""
    plain = dataclasses.replace(SPECS["triplet"], diagnostics=None)
    monkeypatch.setitem(SPECS, "triplet", plain)


def test_a_loss_without_diagnostics_counts_items_with_a_gradient(
    x64, without_diagnostics
):
    # The third class is far away: no triplet with its items is active.
    x = np.array([[0.0, 0], [0.1, 0], [0.23, 0], [0.37, 0], [9, 9], [9, 9.1]])
    batch = x, np.array([0, 0, 1, 1, 2, 2]), np.zeros((3, 2))
    measured = diagnostics_of(batch, "triplet", mining="hardest", convention="paper")
    assert measured["active"] == pytest.approx(4 / 6)
    far = diagnostics_of(
        batch, "triplet", mining="hardest", convention="paper", margin=1e-9
    )
    assert 0 <= far["active"] <= measured["active"]


def test_loss_specs_name_diagnostics_that_exist():
    assert {spec.diagnostics for spec in SPECS.values()} <= set(ACTIVE)
