"""The logistic of a distance beside scikit-learn's, and its error on other classes."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from jml.errors import UserError
from jml.evaluation import calibrate
from jml.evaluation._verification import _calibration
from jml.evaluation._verification._logistic import calibration_error, fit_logistic


def pairs(n=4000, seed=0):
    rng = np.random.default_rng(seed)
    genuine = rng.random(n) < 0.1
    return np.where(genuine, 1.0, 2.0) + 0.5 * rng.normal(size=n), genuine


def items(n=300, classes=30, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=n)
    x = rng.normal(size=(classes, 8))[labels] + 0.5 * rng.normal(size=(n, 8))
    return x, labels


def test_the_logistic_is_that_of_balanced_kinds():
    distances, genuine = pairs()
    intercept, slope = fit_logistic(distances, genuine)
    model = LogisticRegression(class_weight="balanced", C=1e8, tol=1e-10)
    model.fit(distances[:, None], genuine)
    assert slope == pytest.approx(model.coef_[0, 0], rel=0.02)
    assert intercept == pytest.approx(model.intercept_[0], rel=0.02)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_distances_that_separate_the_kinds_have_a_finite_logistic(scale):
    distances = scale * np.array([1.0, 2, 3, 7, 8, 9])
    intercept, slope = fit_logistic(distances, distances < 5 * scale)
    p = expit(intercept + slope * distances)
    # Platt's targets: 4 / 5 and 1 / 5.
    assert np.isfinite([intercept, slope]).all() and slope < 0
    assert (p[:3] > 0.6).all() and (p[3:] < 0.4).all()


def test_equal_distances_tell_nothing():
    intercept, slope = fit_logistic(np.ones(6), np.arange(6) < 2)
    assert expit(intercept + slope) == pytest.approx(0.5, abs=0.05)


def test_the_calibration_error_by_hand():
    probabilities = np.array([0.01, 0.02, 0.5, 0.51, 0.99, 1.0])
    genuine = np.array([False, False, True, False, True, True])
    # Weights of 1/6 each: 3 of each kind. Bins: 0.01, 0.02 | 0.5, 0.51 | 0.99, 1.
    expected = (0.03 + abs(1.01 - 1) + abs(1.99 - 2)) / 6
    assert calibration_error(probabilities, genuine) == pytest.approx(expected)


def test_probabilities_hold_on_classes_of_their_own():
    x, labels = items(900, 90)
    calibration = calibrate(x, labels, metric="cosine", digest="abc")
    assert calibration.calibration_error < 0.05
    assert (calibration.digest, calibration.metric) == ("abc", "cosine")
    assert calibration.slope < 0
    near, middle, far = calibration.probability(np.array([0.0, 0.5, 1.5]))
    assert 1 > near > middle > far > 0
    rare = calibration.probability(np.array([0.5]), prior=0.01)
    odds = middle / (1 - middle) / 99
    assert rare[0] == pytest.approx(odds / (1 + odds))


def test_the_threshold_of_a_rate():
    x, labels = items()
    calibration = calibrate(x, labels, fars=(0.1, 1e-6))
    assert calibration.threshold(0.1) == calibration.points[0].threshold
    with pytest.raises(UserError, match="so few pairs"):
        calibration.threshold(1e-6)
    with pytest.raises(UserError, match=r"pass one of 0\.1, 1e-06"):
        calibration.threshold(0.2)


def test_a_seed_gives_the_same_calibration():
    x, labels = items(60, 8)
    one, two, other = (calibrate(x, labels, seed=seed) for seed in (1, 1, 2))
    assert one == two
    assert (one.intercept, one.slope) != (other.intercept, other.slope)


def test_large_classes_are_sampled(monkeypatch):
    x, labels = items(200, 4)
    whole = calibrate(x, labels, resamples=0, fars=(0.1,))
    monkeypatch.setattr(_calibration, "MOST_PAIRS", 1000)
    drawn = calibrate(x, labels, resamples=0, fars=(0.1,))
    assert whole.genuine > 4000
    assert whole.slope != drawn.slope == pytest.approx(whole.slope, rel=0.2)


def test_two_halves_need_four_classes():
    x, labels = items(30, 3)
    with pytest.raises(ValueError, match="four classes"):
        calibrate(x, labels)
