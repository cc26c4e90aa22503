"""Batches made ahead of time."""

import threading

import pytest

from jml.training import prefetch
from jml.training._prefetch import AHEAD


def test_prefetch_keeps_the_order_and_is_a_bounded_number_ahead():
    made = []

    def batch(step):
        made.append(step)
        return step

    for taken, step in enumerate(prefetch(batch, range(5, 25))):
        assert step == 5 + taken
        assert len(made) <= taken + 1 + AHEAD
    assert made == list(range(5, 25))


def test_prefetch_makes_a_batch_while_the_last_is_used():
    second = threading.Event()

    def batch(step):
        if step == 1:
            second.set()
        return step

    batches = prefetch(batch, range(3))
    assert next(batches) == 0
    assert second.wait(timeout=10)
    batches.close()


def test_prefetch_raises_an_error_in_place_of_its_batch():
    def batch(step):
        if step == 2:
            raise OSError("no such picture")
        return step

    batches = prefetch(batch, range(9))
    assert [next(batches), next(batches)] == [0, 1]
    with pytest.raises(OSError, match="no such picture"):
        next(batches)


def test_prefetch_of_fewer_batches_than_it_may_hold():
    assert list(prefetch(str, range(0))) == []
    assert list(prefetch(str, range(1))) == ["0"]
