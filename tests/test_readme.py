"""The README's Python runs as printed."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_block(block, capsys):
    exec(compile(block, str(README), "exec"), {"__name__": "readme"})
    printed = [float(n) for n in re.findall(r"loss (\S+)", capsys.readouterr().out)]
    assert printed[-1] < 0.8 * printed[0]
