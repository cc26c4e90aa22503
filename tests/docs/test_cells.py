"""The options of cells are what YAML reads as a mapping; else no page is built."""

import re
from pathlib import Path

import pytest
import yaml

DOCS = Path(__file__).parents[2] / "docs"
OPTIONS = re.compile(r"^```\{code-cell\}[^\n]*\n---\n(.*?)\n---\n", re.MULTILINE | re.S)
PAGES = [*DOCS.glob("*.md"), *DOCS.glob("notebooks/*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_options_of_cells_are_mappings(page):
    options = OPTIONS.findall(page.read_text())
    assert all(isinstance(yaml.safe_load(text), dict) for text in options)
