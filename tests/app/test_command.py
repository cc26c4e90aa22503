"""``train_jax.py`` as its user meets it: mistakes, help, Ctrl-C."""

import subprocess
import sys

import numpy as np
import pytest

pytestmark = pytest.mark.usefixtures("nothing_ahead")


def contents(path):
    return {
        p.relative_to(path): p.is_file() and p.read_bytes() for p in path.rglob("*")
    }


def on_images(root, *arguments):
    return [f"--dataroot={root}", "--arch=resnet18", "--weights=none", *arguments]


def no_such_root(tmp_path, write_images):
    return on_images(tmp_path / "nowhere")


def empty_root(tmp_path, write_images):
    (tmp_path / "empty").mkdir()
    return on_images(tmp_path / "empty")


def single_class(tmp_path, write_images):
    write_images(tmp_path / "one", classes=1, per_class=4)
    return on_images(tmp_path / "one")


def class_without_an_image(tmp_path, write_images):
    write_images(tmp_path / "few", classes=4, per_class=1)
    (tmp_path / "few" / "class02" / "000.png").unlink()
    return on_images(tmp_path / "few")


def classes_with_one_image(tmp_path, write_images):
    write_images(tmp_path / "few", classes=4, per_class=2)
    for c in range(2):  # of one a bad image, which would be met later
        (tmp_path / "few" / f"class0{c}" / "000.png").unlink()
    (tmp_path / "few" / "class00" / "001.png").write_text("no image")
    return on_images(tmp_path / "few")


def corrupt_image(tmp_path, write_images):
    write_images(tmp_path / "bad", classes=4, per_class=4)
    whole = tmp_path / "bad" / "class01" / "002.png"
    whole.write_bytes(whole.read_bytes()[:200])
    return on_images(tmp_path / "bad", "--batch_size=8")


def text_instead_of_image(tmp_path, write_images):
    write_images(tmp_path / "bad", classes=4, per_class=4)
    (tmp_path / "bad" / "class01" / "002.png").write_text("not an image")
    return on_images(tmp_path / "bad", "--batch_size=8")


def large_batch(tmp_path, write_images):
    write_images(tmp_path / "small", classes=4, per_class=4)
    return on_images(tmp_path / "small", "--batch_size=64")


def unwritable_folder(tmp_path, write_images):
    (tmp_path / "file").write_text("a file")
    return ["--checkpoints_path", str(tmp_path / "file")]


def earlier_run(tmp_path, write_images):
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    (tmp_path / "runs" / "mine" / "metrics.jsonl").write_text("{}\n")
    return ["--checkpoints_path", str(tmp_path / "runs"), "--name", "mine"]


def missing_weights(tmp_path, write_images):
    write_images(tmp_path / "small", classes=4, per_class=4)
    flags = ["--batch_size=8", f"--weights={tmp_path / 'none.safetensors'}"]
    return on_images(tmp_path / "small", *flags)


def weights_of_another_network(tmp_path, write_images):
    from safetensors.numpy import save_file

    write_images(tmp_path / "small", classes=4, per_class=4)
    path = tmp_path / "other.safetensors"
    save_file({"conv1.weight": np.zeros((64, 3, 7, 7), np.float32)}, path)
    return on_images(tmp_path / "small", "--batch_size=8", f"--weights={path}")


def fixed(*arguments):
    return lambda tmp_path, write_images: list(arguments)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(fixed("--loss=contrast"), ["--loss", "contrast"], id="loss"),
        pytest.param(fixed("--mining=easy"), ["--mining", "easy"], id="mining"),
        pytest.param(fixed("--dataset=mnist"), ["--dataset", "mnist"], id="dataset"),
        pytest.param(fixed("--arch=vgg16"), ["--arch", "vgg16"], id="arch"),
        pytest.param(fixed("--nonsense=1"), ["--nonsense"], id="unknown"),
        (no_such_root, ["--dataroot", "nowhere"]),
        (empty_root, ["--dataroot", "empty"]),
        (single_class, ["--dataroot", "one"]),
        (class_without_an_image, ["class02"]),
        (classes_with_one_image, ["0 of 2 training classes", "--singletons views"]),
        (corrupt_image, ["class01", "002.png"]),
        (text_instead_of_image, ["class01", "002.png"]),
        (large_batch, ["--batch_size", "64"]),
        (unwritable_folder, ["--checkpoints_path", "file"]),
        (earlier_run, ["--name", "mine", "--overwrite"]),
        (missing_weights, ["--weights", "none.safetensors"]),
        (weights_of_another_network, ["other.safetensors", "missing: bn1.bias"]),
    ],
)
def test_a_mistake_in_a_flag_is_one_line_and_leaves_the_disk_alone(
    make, words, main, write_images, tmp_path, monkeypatch, capsys
):
    arguments = make(tmp_path, write_images)
    monkeypatch.chdir(tmp_path)  # where the default --checkpoints_path would be made
    before = contents(tmp_path)
    code = main(arguments)
    out, err = capsys.readouterr()
    assert code == 2
    assert out == ""
    assert err.startswith("train_jax.py: error: ")
    assert err.endswith("\n") and err.count("\n") == 1
    for word in words:
        assert word in err
    assert contents(tmp_path) == before


@pytest.mark.parametrize("where", ["device", "host"])
def test_a_lack_of_memory_is_one_line(where, main, tmp_path, monkeypatch, capsys):
    import jax

    from jml.app import _prepare as module

    def out_of_memory(config, listing):
        if where == "host":
            raise MemoryError("Unable to allocate 3.73 TiB")
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory\nmore")

    monkeypatch.setattr(module, "load_dataset", out_of_memory)
    assert main(["--batch_size=96", f"--checkpoints_path={tmp_path}"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("train_jax.py: error: --batch_size: no memory for 96 images")
    assert err.count("\n") == 1
    assert contents(tmp_path) == {}


def test_a_mistake_is_one_line_from_another_directory(script, tmp_path):
    command = [sys.executable, str(script), "--loss", "tripet"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "did you mean 'triplet'?" in done.stderr


def test_help_of_train_does_not_load_jax(script, tmp_path):
    program = (
        "import runpy, sys\n"
        f"sys.argv = [{str(script)!r}, '--help']\n"
        "try:\n"
        f"    runpy.run_path({str(script)!r}, run_name='__main__')\n"
        "except SystemExit as done:\n"
        "    assert done.code == 0\n"
        "heavy = {'jax', 'numpy', 'flax', 'optax', 'torch', 'matplotlib', 'PIL'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    command = [sys.executable, "-c", program]
    env = {"PYTHONPATH": str(script.parent), "PATH": ""}
    done = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "--decay_iter_step" in done.stdout
