import jax
import pytest
import torch
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")
torch.set_num_threads(1)  # the tests may share their cores with one another


@pytest.fixture
def x64():
    """Runs one test in float64; the library itself never sets this."""
    with jax.enable_x64(True):
        yield
