"""The package: its public modules on first use, its version, its extras."""

import ast
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

import hatch_build
import jml
from jml._optional import DISTRIBUTION, EXTRAS, NAMES
from tests import typing_user

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_public_modules_are_imported_when_they_are_used():
    code = (
        "import sys, jml\n"
        "loaded = [name for name in sys.modules if name.startswith('jml.')]\n"
        "assert loaded == ['jml._first_use']\n"
        "assert 'jax' not in sys.modules and 'losses' in dir(jml)\n"
        "assert callable(jml.losses.triplet_loss)\n"
        "assert 'jml.models' not in sys.modules\n"
        "assert callable(jml.distances.normalize)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_every_public_module_of_jml_is_there():
    for name in set(jml.__all__) - {"__version__", "load"}:
        assert getattr(jml, name) is import_module(f"jml.{name}")
        assert name in dir(jml)


@pytest.mark.parametrize("package", ["jml", "jml.evaluation"])
def test_names_that_are_imported_on_first_use_are_those_of_type_checkers(package):
    module = import_module(package)
    (block,) = (
        node
        for node in ast.parse(Path(module.__file__).read_text()).body
        if isinstance(node, ast.If)
    )
    homes = {
        alias.name: (node.module, alias.asname)
        for node in block.body
        for alias in node.names
    }
    assert sorted(homes) == sorted(set(module.__all__) - {"__version__"})
    for name, (home, alias) in homes.items():
        assert alias == name
        value = import_module(f"{package}.{home or name}")
        assert getattr(module, name) is (getattr(value, name) if home else value)
    assert set(module.__all__) <= set(dir(module))
    with pytest.raises(AttributeError, match=f"'{package}' has no attribute 'x'"):
        getattr(module, "x")  # noqa: B009


def test_evaluation_is_imported_without_jax():
    code = (
        "import sys, jml.evaluation\n"
        "assert not {'jax', 'numpy'} & set(sys.modules)\n"
        "from jml.evaluation import *\n"
        "assert callable(recall_at_k) and callable(evaluate)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_an_unknown_name_in_jml_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'jml' has no attribute 'loss'"):
        getattr(jml, "loss")  # noqa: B009
    assert not hasattr(jml, "torch_ref")


def test_the_version_is_written_once():
    assert "version" not in PROJECT and "version" in PROJECT["dynamic"]
    (line,) = (
        line
        for line in (ROOT / "jml" / "__init__.py").read_text().splitlines()
        if line.startswith("__version__")
    )
    assert line == f'__version__ = "{jml.__version__}"'


def test_missing_packages_are_advised_by_the_extra_that_brings_them():
    assert PROJECT["name"] == DISTRIBUTION
    extras = PROJECT["optional-dependencies"]
    brought = {
        name.partition(">=")[0].partition("[")[0]: extra
        for extra, names in extras.items()
        if extra not in ("test", "docs")
        for name in names
    }
    advised = {NAMES.get(module, module): extra for module, extra in EXTRAS.items()}
    assert advised.pop("fonttools") == "train"  # matplotlib brings it
    assert advised == brought


def test_extras_name_the_project_itself_and_not_a_stranger():
    for names in PROJECT["optional-dependencies"].values():
        assert not [name for name in names if name.partition("[")[0] == "jml"]


@pytest.mark.parametrize(
    ("repository", "expected"),
    [
        (None, "guide, , [paper](https://x.org), [below](#use)"),
        (
            "https://x.org/jml",
            "[guide](https://x.org/jml/blob/main/docs/a.md#b), "
            "![page](https://x.org/jml/raw/main/docs/a.png), "
            "[paper](https://x.org), [below](#use)",
        ),
    ],
)
def test_links_of_the_readme_lead_somewhere_outside_the_repository(
    repository, expected
):
    text = "[guide](docs/a.md#b), ![page](docs/a.png), [paper](https://x.org)"
    assert hatch_build.absolute(f"{text}, [below](#use)", repository) == expected


def test_the_script_that_the_type_checker_reads_runs_as_well():
    *numbers, of_numpy, of_jax = typing_user.main()
    assert len(numbers) == 3 and of_numpy == of_jax == 1
