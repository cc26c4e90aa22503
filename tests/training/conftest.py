"""Checkpoints that several modules go on from."""

import shutil

import pytest

from tests.compilation import quickly
from tests.training import own_network

# It traces as it is imported, for a process without JAX's threads.
collect_ignore = ["traced_network.py"]


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A folder with the checkpoints of twelve steps, and the state after twenty.

    Modules that compare with it compile as it does, by `quick_compilation`.
    """
    folder = tmp_path_factory.mktemp("checkpoints") / "some"
    with quickly():
        own_network.run(folder, steps=12)
        more = shutil.copytree(folder, folder.with_name("more"))
        return folder, own_network.run(more, steps=20)
