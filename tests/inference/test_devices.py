"""Four devices share each batch, and give the embeddings of one."""

import os
import subprocess
import sys

import numpy as np
import pytest

import jml
from tests.compilation import quickly
from tests.inference.conftest import CONFIG, small_networks

pytestmark = pytest.mark.slow  # a process


def embed(folder, out, names):
    """What each process does."""
    import jax

    with small_networks(), quickly():
        model = jml.load(folder)
        sizes = [len(rows) for rows, _ in model.embed_batches(names * 5)]
        np.savez(out, model.embed(names), len(jax.local_devices()), sizes)


def test_all_local_devices_embed_as_one_does(run, paths, tmp_path):
    names = list(map(str, paths[:69]))
    (tmp_path / "names").write_text("\n".join(names))
    flags = "--xla_force_host_platform_device_count=4"
    program = (
        "import sys; from pathlib import Path;"
        "from tests.inference import test_devices;"
        "test_devices.embed(*sys.argv[1:3], Path(sys.argv[3]).read_text().split('\\n'))"
    )
    out = tmp_path / "4.npz"
    subprocess.run(
        [sys.executable, "-c", program, run, out, tmp_path / "names"],
        env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        check=True,
    )
    embed(run, tmp_path / "1.npz", names)
    one, four = (list(np.load(tmp_path / f"{n}.npz").values()) for n in (1, 4))
    assert (one[1], four[1]) == (1, 4)
    assert set(one[2][:-1]) == {64} and set(four[2][:-1]) == {256}
    assert one[0].shape == (69, CONFIG.embedding_dim)
    np.testing.assert_array_equal(four[0], one[0])
