"""The README: its Python runs as printed, its links lead somewhere, and it is short."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
TEXT = README.read_text()
BLOCK = re.compile(r"```python\n(.*?)```(?:\n\n```\n(.*?)```)?", flags=re.DOTALL)
BLOCKS = BLOCK.findall(TEXT)
LINKS = [link for link in re.findall(r"\]\(([^)]+)\)", TEXT) if "://" not in link]


@pytest.mark.parametrize(("block", "output"), BLOCKS, ids=range(len(BLOCKS)))
def test_a_block_of_the_readme_runs_as_printed(
    block, output, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    exec(compile(block, str(README), "exec"), {"__name__": "readme"})
    printed = capsys.readouterr().out
    if output:
        assert printed == output
    else:
        losses = [float(n) for n in re.findall(r"loss (\S+)", printed)]
        assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("link", LINKS)
def test_a_link_of_the_readme_leads_to_a_file_and_a_heading(link):
    path, _, heading = link.partition("#")
    target = README.parent / path
    assert target.is_file()
    headings = re.findall(r"^#+ (.+)$", target.read_text(), re.M) if heading else []
    anchors = {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}
    assert heading in anchors | {""}


def test_the_readme_has_at_most_1000_words():
    assert len(TEXT.split()) <= 1000
