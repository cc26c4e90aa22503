"""What importing costs: each layer brings its own dependencies and no more."""

import subprocess
import sys

HEAVY = {"PIL", "flax", "matplotlib", "optax", "safetensors", "torch", "tqdm"}


def modules_after(statement):
    code = f"import sys; {statement}; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return {name.split(".")[0] for name in result.stdout.split()}


def test_losses_need_jax_alone():
    assert not HEAVY & modules_after("import jml.losses")


def test_the_command_line_does_not_wait_for_jax():
    assert not (HEAVY | {"jax"}) & modules_after("import train_jax")


def test_importing_jml_does_not_import_torch():
    everything = "import jml.data, jml.evaluation, jml.models, jml.app._train"
    assert "torch" not in modules_after(everything)


def test_torch_ref_does_not_import_jml():
    assert not {"jax", "jml"} & modules_after("import torch_ref")
