"""Thresholds, rates and areas beside scikit-learn's, with all distances and in bins."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist
from sklearn.metrics import roc_auc_score, roc_curve

from jml.evaluation import verification
from jml.evaluation._verification import _streamed, _verification

FARS = (0.5, 0.1, 0.01, 0.001)


@pytest.fixture(params=["stored", "in bins"])
def way(request, monkeypatch):
    if request.param == "in bins":
        monkeypatch.setattr(_verification, "STORED", 0)
    return request.param


def items(n, d, classes, seed=0, noise=1.0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=n)
    labels[:3] = 0, 0, 1  # a genuine and an impostor pair
    x = rng.normal(size=(classes, d))[labels] + noise * rng.normal(size=(n, d))
    return x.astype(np.float32), labels


def distances(x, metric="euclidean"):
    if metric == "euclidean":
        return pdist(x.astype(np.float64))
    x = x.astype(np.float64)
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    x = np.divide(x, norms, out=np.zeros_like(x), where=norms > 0)
    i, j = np.triu_indices(len(x), 1)
    return 1 - np.einsum("ij,ij->i", x[i], x[j])


def reference(d, labels, fars=FARS, same=None, kept=slice(None)):
    """scikit-learn's curve: (threshold, TAR) of each FAR, the AUC and the EER."""
    i, j = np.triu_indices(len(labels), 1)
    y = labels[i] == labels[j]
    y, d = y[kept], d[kept]
    fpr, tpr, thresholds = roc_curve(y, -d, drop_intermediate=False)
    at = [np.flatnonzero(fpr <= far)[-1] for far in fars]
    points = [(-thresholds[k], tpr[k], fpr[k]) for k in at]
    above = fpr + tpr - 1
    k = np.flatnonzero(above >= 0)[0]
    share = -above[k - 1] / (above[k] - above[k - 1])
    eer = fpr[k - 1] + share * (fpr[k] - fpr[k - 1])
    return points, roc_auc_score(y, -d), eer, (fpr, tpr), (~y).sum()


def assert_equal(result, expected, rel=1e-12):
    points, auc, eer, _, impostors = expected
    assert result.impostors == impostors
    assert result.auc == pytest.approx(auc, abs=result.auc_error + 1e-12)
    assert result.eer == pytest.approx(eer, abs=1e-12)
    for point, (threshold, tar, far) in zip(result.points, points, strict=True):
        if point.far * impostors < 1 - 1e-9:
            assert point.threshold is point.tar is point.reached is None
            assert point.note == "no threshold reaches this FAR on so few pairs"
            continue
        assert point.tar == pytest.approx(tar, abs=1e-12)
        assert point.reached == pytest.approx(far, abs=1e-12)
        if np.isinf(threshold):
            assert point.threshold is None and "smallest distance" in point.note
        else:
            assert point.threshold == pytest.approx(threshold, rel=rel, abs=1e-15)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_random_items(way, metric):
    x, labels = items(300, 8, 20)
    result = verification(x, labels, metric=metric, fars=FARS)
    assert_equal(result, reference(distances(x, metric), labels), rel=1e-9)
    assert (result.items, result.classes, result.metric) == (300, 20, metric)


@settings(deadline=None, max_examples=20, database=None)
@given(
    st.integers(0, 10**6), st.sampled_from([3, 9, 40]), st.integers(1, 2), st.just(4)
)
def test_tied_and_tiny(seed, n, d, classes):
    x, labels = items(n, d, classes, seed)
    x = np.round(x)
    expected = reference(distances(x), labels)
    for stored in (10**7, 0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_verification, "STORED", stored)
            patch.setattr(_streamed, "MANY", 20)  # ranges are divided again
            result = verification(x, labels, fars=FARS, resamples=0)
        assert_equal(result, expected)


@pytest.mark.parametrize(
    "case", ["far item", "one apart", "far group", "copies", "tight", "float64"]
)
def test_what_products_cannot_tell(way, case, monkeypatch):
    monkeypatch.setattr(_streamed, "MANY", 300)
    x, labels = items(120, 4, 6)
    if case == "far item":
        x[7] *= 1e6
    elif case == "one apart":  # and not among the pairs that are drawn first
        x = (x * np.float32(1e-21)).astype(np.float32)
        x[7] = 1
        monkeypatch.setattr(_streamed, "SAMPLE", 3)
    elif case == "far group":
        x[labels == 2] += 1e4
    elif case == "copies":
        x[20:80] = x[20]
    elif case == "tight":
        x = 1000 + 1e-3 * x
    else:
        x = x.astype(np.float64) * 1e-9 + 1
    result = verification(x, labels, fars=FARS, resamples=0)
    assert_equal(result, reference(distances(x), labels))


@pytest.mark.parametrize("factor", [1e-30, 1e30])
def test_tiny_and_huge_numbers(way, factor):
    x, labels = items(80, 4, 5)
    x = (x * np.float32(factor)).astype(np.float32)
    scale = float(np.abs(x).max())
    result = verification(x, labels, fars=FARS, resamples=0)
    points, *rest = reference(distances(x.astype(np.float64) / scale), labels)
    points = [(threshold * scale, *others) for threshold, *others in points]
    assert_equal(result, (points, *rest))


def test_rows_of_zeros(way):
    x, labels = items(60, 4, 5)
    x[::7] = 0
    result = verification(x, labels, fars=FARS, metric="cosine")
    d = distances(x, "cosine")
    zero = (x == 0).all(axis=1)
    i, j = np.triu_indices(60, 1)
    d[zero[i] | zero[j]] = 1
    assert_equal(result, reference(d, labels), rel=1e-9)


def test_genuine_pairs_of_one_group_are_left_out(way):
    x, labels = items(100, 4, 5)
    groups = np.random.default_rng(1).integers(-1, 3, size=100)
    result = verification(x, labels, fars=FARS, groups=groups)
    i, j = np.triu_indices(100, 1)
    out = (labels[i] == labels[j]) & (groups[i] == groups[j]) & (groups[i] >= 0)
    assert_equal(result, reference(distances(x), labels, kept=~out))


def test_many_genuine_pairs_are_not_stored(way, monkeypatch):
    from jml.evaluation._verification import _genuine

    monkeypatch.setattr(_genuine, "STORED", 10)
    monkeypatch.setattr(_genuine, "CHUNK", 50)
    x, labels = items(150, 4, 4)
    result = verification(x, labels, fars=FARS)
    assert_equal(result, reference(distances(x), labels))


def test_the_curve_has_all_points_while_they_are_few():
    x, labels = items(30, 4, 5)
    curve = verification(x, labels).curve
    _, _, _, (fpr, tpr), _ = reference(distances(x), labels)
    np.testing.assert_allclose(curve.far, fpr, atol=1e-12)
    np.testing.assert_allclose(curve.tar, tpr, atol=1e-12)


def test_the_curve_is_thinned_to_points_of_itself(way):
    x, labels = items(300, 8, 20)
    curve = verification(x, labels).curve
    _, _, _, (fpr, tpr), _ = reference(distances(x), labels)
    assert 500 < len(curve.far) <= 1001
    points = set(zip(fpr.round(12), tpr.round(12), strict=True))
    found = zip(curve.far.round(12), curve.tar.round(12), strict=True)
    assert sum(point not in points for point in found) <= (0 if way == "stored" else 9)
    assert (curve.far[-1], curve.tar[-1]) == (1, 1)
    area = np.trapezoid(curve.tar, curve.far)
    assert area == pytest.approx(np.trapezoid(tpr, fpr), abs=1e-3)
    assert (np.diff(curve.thresholds) > 0).all()
