"""Intervals and standard errors of a verification, and what it refuses."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from jml.evaluation import verification
from jml.evaluation._verification import _verification


def items(n=200, d=4, classes=25, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=n)
    x = rng.normal(size=(classes, d))[labels] + rng.normal(size=(n, d))
    return x.astype(np.float32), labels


@pytest.mark.parametrize("stored", [10**7, 0])
def test_intervals_are_quantiles_over_classes_drawn_anew(stored, monkeypatch):
    monkeypatch.setattr(_verification, "STORED", stored)
    x, labels = items()
    options = {"confidence": 0.8, "resamples": 100, "seed": 5}
    (point,) = verification(x, labels, fars=(0.1,), **options).points
    i, j = np.triu_indices(len(x), 1)
    accepted = pdist(x.astype(float)) <= point.threshold + 1e-12
    genuine = labels[i] == labels[j]
    names = np.unique(labels[i[genuine]])
    of_class = [(genuine & (labels[i] == c)) for c in names]
    pairs = np.array([kept.sum() for kept in of_class])
    hits = np.array([(kept & accepted).sum() for kept in of_class])
    # Classes in the order in which JML has them: it does not change the quantiles much.
    rng = np.random.default_rng(1)
    drawn = rng.integers(len(names), size=(20_000, len(names)))
    rates = hits[drawn].sum(axis=1) / pairs[drawn].sum(axis=1)
    np.testing.assert_allclose(
        point.interval, np.quantile(rates, [0.1, 0.9]), atol=0.03
    )
    assert point.interval[0] < point.tar < point.interval[1]


def test_the_error_of_a_threshold_is_a_jackknife_over_classes():
    x, labels = items(classes=12)  # as many folds as classes
    (point,) = verification(x, labels, fars=(0.05,)).points
    thresholds = []
    for out in np.unique(labels):
        (rest,) = verification(
            x[labels != out], labels[labels != out], fars=(0.05,), resamples=0
        ).points
        thresholds.append(rest.threshold)
    expected = np.sqrt(np.var(thresholds) * 11)
    assert point.threshold_error == pytest.approx(expected, rel=0.05)


def test_the_error_from_bins_is_that_from_all_distances(monkeypatch):
    x, labels = items(400, 8, 40)
    stored = verification(x, labels, fars=(0.1, 0.01))
    monkeypatch.setattr(_verification, "STORED", 0)
    binned = verification(x, labels, fars=(0.1, 0.01))
    for one, two in zip(stored.points, binned.points, strict=True):
        assert one.threshold_error == pytest.approx(two.threshold_error, rel=0.02)
        assert one.interval == two.interval
        assert one.threshold == pytest.approx(two.threshold, rel=1e-12)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": np.zeros(200, int)}, "two classes"),
        ({"labels": np.arange(200)}, "a class of two items"),
        ({"groups": np.zeros(200, int)}, "no genuine pair"),
        ({"fars": (0.1, 1.5)}, "`fars`"),
        ({"fars": ()}, "`fars`"),
        ({"confidence": 2.0}, "`confidence`"),
        ({"seed": -1}, "`seed`"),
        ({"metric": "l1"}, "`metric`"),
    ],
)
def test_what_is_refused(change, words):
    x, labels = items()
    options = {"labels": labels} | change
    with pytest.raises(ValueError, match=words):
        verification(x, **options)


def test_nan_is_refused():
    x, labels = items()
    x[3, 1] = np.nan
    with pytest.raises(ValueError, match="row 3"):
        verification(x, labels)
