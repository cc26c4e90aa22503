from itertools import chain

import jax
import pytest
import torch
from hypothesis import settings

from tests import parity

settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")
jax.config.update("jax_numpy_rank_promotion", "raise")  # as some users have it
torch.set_num_threads(1)  # the tests may share their cores with one another


@pytest.fixture
def x64():
    """Runs one test in float64; the library itself never sets this."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def quick_compilation():
    """The same programs, made into slower machine code in half the time.

    For tests that compile much and run little; those of memory keep XLA's full care.
    """
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    # A test's report is what travels from a worker process to the session.
    parity.SEEN.clear()
    try:
        return (yield)
    finally:
        seen = [[*key, float(error)] for key, error in parity.SEEN.items()]
        item.user_properties.append(("parity", seen))


def pytest_terminal_summary(terminalreporter):
    largest = {}
    for report in chain.from_iterable(terminalreporter.stats.values()):
        properties = dict(getattr(report, "user_properties", []))
        for *key, error in properties.get("parity", []):
            largest[tuple(key)] = max(error, largest.get(tuple(key), 0))
    if largest:
        terminalreporter.section("largest relative differences")
    for (topic, limit), error in sorted(largest.items()):
        terminalreporter.line(f"{topic:<40} {error:8.1e}   limit {limit:.0e}")
