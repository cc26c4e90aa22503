"""The API pages have every public name, and no other."""

import re
from importlib import import_module
from pathlib import Path

import pytest

import jml

API = Path(__file__).parents[2] / "docs" / "api"
# `jml.load` is that of `jml.inference`, on whose page it is.
PACKAGES = [name for name in jml.__all__ if name not in ("__version__", "load")]
TABLE = re.compile(
    r"^\.\. autosummary::\n   :signatures: none\n\n((?:   \w+\n)+)", flags=re.MULTILINE
)
VALUE = re.compile(r"^\.\. py:data:: (\w+)$", flags=re.MULTILINE)


def public_names(module):
    own = (n for n in vars(module) if is_documented(module, n) and n[0] != "_")
    return sorted(getattr(module, "__all__", own))


def is_documented(module, name):
    """Whether the name has a docstring of its own; conf.py skips constants."""
    where = getattr(getattr(module, name), "__module__", None) or ""
    return where.startswith("jml")


def test_every_package_has_a_page():
    assert {page.stem for page in API.glob("*.rst")} == set(PACKAGES)
    index = (API / "index.md").read_text(encoding="utf-8")
    for name in PACKAGES:
        assert f"[jml.{name}]({name}.rst)" in index
        assert f"\n{name}\n" in index


@pytest.mark.parametrize("package", PACKAGES)
def test_the_api_page_of_a_package_has_every_public_name_once(package):
    module = import_module(f"jml.{package}")
    page = (API / f"{package}.rst").read_text(encoding="utf-8")
    assert f".. automodule:: jml.{package}\n   :members:\n" in page
    entries = [name for table in TABLE.findall(page) for name in table.split()]
    values = VALUE.findall(page)
    assert sorted(entries + values) == public_names(module)
    assert all(is_documented(module, name) for name in entries)
    assert not any(is_documented(module, name) for name in values)
