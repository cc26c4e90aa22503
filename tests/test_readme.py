"""The README's Python runs as printed."""

import re

import pytest

from tests.readme import BLOCKS, README


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
