import numpy as np
import pytest

from jml.evaluation import evaluate

from .cases import clusters

NAMES = {"recall@1", "precision@1", "map", "map@r", "r_precision", "mrr", "map@2"}


def measure(n, *, clusterings=0, **options):
    x, labels = clusters(n, 4, n // 3)
    options |= {"ks": [1], "map_ks": [2]}
    return evaluate(x, labels, clusterings=clusterings, **options)


def test_intervals_hold_the_value():
    found = measure(60, clusterings=2, resamples=500)
    assert set(found.intervals) == set(found.metrics) > NAMES
    for name, (low, high) in found.intervals.items():
        assert 0 <= low <= found.metrics[name] <= high <= 1, name
        assert low < high or name in ("nmi", "ami"), name


@pytest.mark.parametrize("confidence", [0.5, 0.9])
def test_intervals_are_quantiles_of_the_means_of_queries_drawn_anew(confidence):
    found = measure(60, resamples=200, confidence=confidence, seed=3)
    assert found.left_out > 0
    draws = np.random.default_rng(3)
    drawn = draws.integers(found.queries, size=(200, found.queries))
    tail = (1 - confidence) / 2
    for name, interval in found.intervals.items():
        values = found.per_query[name]
        means = values[~np.isnan(values)][drawn].mean(axis=1)
        assert interval == pytest.approx(np.quantile(means, [tail, 1 - tail]), abs=1e-9)


def test_a_seed_gives_the_same_intervals():
    assert measure(60, seed=1).intervals == measure(60, seed=1).intervals
    assert measure(60, seed=1).intervals != measure(60, seed=2).intervals


def test_intervals_widen_with_confidence_and_narrow_with_more_queries():
    widths = []
    for n, confidence, deviations in (
        (60, 0.99, 2.576),
        (60, 0.95, 1.96),
        (60, 0.5, 0.6745),
        (960, 0.5, 0.6745),
    ):
        found = measure(n, confidence=confidence)
        values = found.per_query["map"][~np.isnan(found.per_query["map"])]
        low, high = found.intervals["map"]
        widths.append(high - low)
        normal = 2 * deviations * values.std() / np.sqrt(len(values))
        assert high - low == pytest.approx(normal, rel=0.15)
    assert widths == sorted(widths, reverse=True)


def test_without_resamples_there_are_no_intervals():
    assert measure(60, resamples=0).intervals == {}
