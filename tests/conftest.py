import jax
import pytest


@pytest.fixture
def x64():
    """Runs one test in float64; the library itself never sets this."""
    with jax.enable_x64(True):
        yield
