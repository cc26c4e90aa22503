import pytest

from jml.data import glyphs


@pytest.fixture(scope="session")
def full_set():
    """The whole data set, drawn once."""
    return glyphs(image_size=24, cache="host")
