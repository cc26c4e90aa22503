"""What holds for all tests, and for the examples in docstrings."""

import os
import shutil
import tempfile
from contextlib import nullcontext
from itertools import chain
from pathlib import Path

import jax
import jaxtyping
import pytest
import torch
from hypothesis import settings

from tests import compilation, garbage, order, parity

settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")
# As some users have it; processes that tests start find it in their environment.
os.environ["JAX_NUMPY_RANK_PROMOTION"] = "raise"
jax.config.update("jax_numpy_rank_promotion", "raise")
torch.set_num_threads(1)  # the tests may share their cores with one another


def pytest_configure(config):
    """Gives the session a cache of compiled programs, which its processes share.

    It lies in the environment, where workers and other processes that tests start find
    it. The session that made it removes it: each begins with an empty one.
    """
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        folder = tempfile.mkdtemp(prefix="compiled-")
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
        os.environ["JAX_COMPILATION_CACHE_DIR"] = folder
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.05"
    jax.config.update(
        "jax_compilation_cache_dir", os.environ["JAX_COMPILATION_CACHE_DIR"]
    )
    seconds = os.environ.get("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "1")
    jax.config.update("jax_persistent_cache_min_compile_time_secs", float(seconds))


def pytest_runtest_setup(item):
    if item.get_closest_marker("gpu") and jax.default_backend() != "gpu":
        pytest.skip("JAX sees no GPU")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """A worker gets whole modules: two would compile their programs twice."""
    from xdist.scheduler import LoadFileScheduling

    if config.getvalue("dist") == "load":  # what -n chooses
        return LoadFileScheduling(config, log)


def pytest_collection_modifyitems(config, items):
    if hasattr(config, "workerinput"):  # one of several, which take files in turn
        items[:] = order.longest_first(items)


# These folders' programs are of no use to other modules, and are not written to files.
TESTS = Path(__file__).parent / "tests"
KEPT_NOWHERE = [TESTS / folder for folder in ("losses", "pairwise", "tiles")]


@pytest.fixture(scope="module", autouse=True)
def forget_programs(request):
    """Programs of one module are of no use to the next, and XLA holds on to them."""
    once = request.path.parent in KEPT_NOWHERE
    with compilation.kept_nowhere() if once else nullcontext():
        yield
    jax.clear_caches()


@pytest.fixture
def any_arguments():
    """Lets a test pass arguments that the annotations do not allow."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def x64():
    """Runs one test in float64; the library itself never sets this."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def quick_compilation():
    """The same programs, made into slower machine code in a quarter of the time.

    For tests that compile much and run little, and do not measure memory.
    """
    with compilation.quickly():
        yield


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


def pytest_collection_finish():
    garbage.collect_seldom()
