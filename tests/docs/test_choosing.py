"""The page "Choosing a loss" has a section for every loss."""

import re
from pathlib import Path

import pytest

from jml._loss_specs import SPECS, variants

PAGE = Path(__file__).parents[2] / "docs" / "choosing.md"


def sections():
    """Every heading of the page that has an anchor, by the anchor."""
    text = PAGE.read_text(encoding="utf-8")
    found = re.findall(r"^\(([\w-]+)\)=\n(#+) \S.*$", text, flags=re.MULTILINE)
    assert len(dict(found)) == len(found), "an anchor occurs twice"
    return dict(found)


@pytest.mark.parametrize("name", SPECS)
def test_a_loss_has_a_section(name):
    assert sections()[f"loss-{name.replace('_', '-')}"] == "##"


def section_of(name):
    anchor = re.escape(f"(loss-{name.replace('_', '-')})=")
    text = PAGE.read_text(encoding="utf-8")
    return re.search(rf"^{anchor}\n## .*?(?=^## |\Z)", text, flags=re.S | re.M)[0]


@pytest.mark.parametrize("variant", variants("-"))
def test_a_choice_of_a_loss_has_a_section_or_stands_in_that_of_its_loss(variant):
    if f"loss-{variant.replace('_', '-')}" in sections():
        return
    name, choices = variants("-")[variant]
    section = section_of(name)
    for choice, word in choices.items():
        assert f"{choice}=" in section
        assert not isinstance(word, str) or f'"{word}"' in section


@pytest.mark.parametrize("name", SPECS)
def test_the_section_calls_the_loss_and_names_its_paper(name):
    section = section_of(name)
    assert f"losses.{name}_loss" in section
    for word in ("When", "Formula", "Settings", "Batch", "Cost", "Paper"):
        assert f"**{word}.**" in section
