"""Without extras: files are evaluated, networks trained, and the rest is one line."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jml._optional import need
from jml.errors import UserError

LOOP = Path(__file__).parents[1] / "examples" / "training_loop.py"
EXTRAS = {
    *("PIL", "array_record", "cykooz_resizer", "flatbuffers", "fontTools"),
    *("matplotlib", "safetensors", "simplejpeg", "sklearn", "tensorflow_datasets"),
    *("faiss", "pyarrow", "ray", "usearch"),
    *("threadpoolctl", "torch", "torchvision", "tqdm", "wandb"),
}
PROGRAM = f"""
import importlib, pkgutil, runpy, sys
from pathlib import Path

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {EXTRAS}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocked())

import jml
for module in pkgutil.walk_packages(jml.__path__, "jml."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)

from jml import data, models, report
from jml.errors import UserError
from jml.evaluation import evaluate
from jml.app import _export as export
from jml.app._evaluate import main
import numpy as np
import train_jax

arrays = np.load("x.npy"), np.load("labels.npy")
assert main(["x.npy", "labels.npy", "--clusterings=0"]) == 0
found = evaluate(*arrays, clusterings=0)

params = {{}}, {{}}
image = type("Image", (), dict(name="a", read=bytes, stamp=str))()
rows = np.arange(2)
listing = data.Listing("a", [image] * 2, rows, ("a", "b"), rows, rows, None)
items = report.EmbeddedImages(*arrays)
for call in (
    lambda: models.save_weights("a.safetensors", *params),
    lambda: models.load_weights("there.safetensors", "resnet18", *params),
    lambda: models.load_weights("there.pth", "resnet18", *params),
    lambda: models.load_weights("imagenet", "resnet18", *params),
    lambda: data.glyphs(image_size=24),
    lambda: data.folder("pictures"),
    lambda: data.tfds("mnist"),
    *(lambda c=c: data.decode(listing, image_size=8, cache=c) for c in data_caches),
    lambda: report.write_report(Path(), "a", items, None, found, reproduce={{}}),
    lambda: report.save_plot("a.png", []),
):
    try:
        call()
    except UserError as error:
        print("refused:", error)
codes = [export.main(["run", f"--to={{kind}}"]) for kind in export.SUFFIXES]
codes.append(train_jax.main(["--loss=triplet"]))
assert codes == [2] * 4, codes
runpy.run_path({str(LOOP)!r})
""".replace("data_caches", '("host", "disk", "none")')
REFUSALS = [
    "writing 'a.safetensors' needs safetensors, which is not installed; run: pip ins",
    "`weights`: reading 'there.safetensors' needs safetensors, which is not installed",
    "`weights`: reading 'there.pth' needs PyTorch",
    "`weights`: reading 'imagenet' needs PyTorch",
    "drawing glyphs needs matplotlib, pillow and fonttools, which are not",
    "reading images needs pillow, which is not installed; run: pip inst",
    "`name`: tfds:mnist is read by tensorflow-datasets, which is not installed",
    *["reading images needs pillow, which is not installed"] * 3,
    "a report needs matplotlib and pillow, which are not installed; run: pip install",
    "a plot needs matplotlib and pillow, which are not installed",
]
EXTRA = re.compile(r'run: pip install "jax-metric-learning\[[a-z,]+\]"')
ERRORS = [
    "evaluating",
    "no report: it needs matplotlib and pillow, which are not installed; run: pip in",
    "python -m jml.export: error: --to torch needs torch and safetensors, which are",
    "python -m jml.export: error: --to safetensors needs safetensors, which is not",
    "python -m jml.export: error: --to stablehlo needs flatbuffers and safetensors,",
    "train_jax.py: error: training by this command needs matplotlib, pillow, safeten",
]


def test_jml_works_without_extras_and_names_them(tmp_path):
    labels = np.arange(12) // 3
    np.save(tmp_path / "x.npy", np.eye(4, dtype=np.float32)[labels])
    np.save(tmp_path / "labels.npy", labels)
    for name in ("there.safetensors", "there.pth"):
        (tmp_path / name).touch()
    for name in "abcd":
        (tmp_path / "pictures" / name).mkdir(parents=True)
        (tmp_path / "pictures" / name / "x.jpg").touch()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for line, words in zip(done.stderr.splitlines(), ERRORS, strict=True):
        assert line.startswith(words), line
        assert EXTRA.search(line) or line == "evaluating"
    out = done.stdout.splitlines()
    refused = [line.removeprefix("refused: ") for line in out if "refused: " in line]
    for line, words in zip(refused, REFUSALS, strict=True):
        assert line.startswith(words), line
        assert EXTRA.search(line), line
    assert "recall@1        100.00 %  (100.00 to 100.00)" in out
    assert not any(line.startswith("written") for line in out)
    losses = [float(line.split()[1]) for line in out if line.startswith("loss ")]
    assert losses[-1] < 0.8 * losses[0]
    assert {path.name for path in (tmp_path / "runs" / "own").iterdir()} == {
        "80",
        "100",
    }


def test_an_extra_that_lacks_a_package_itself_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "upper.py").write_text("import lower")
    monkeypatch.syspath_prepend(tmp_path)
    words = r"^x needs upper, which cannot be imported \(No module named 'lower'\); run"
    with pytest.raises(UserError, match=words):
        need("x", "upper", "json")
    with pytest.raises(UserError, match=r"^x needs lower, which is not installed"):
        need("x", "upper", "lower")
