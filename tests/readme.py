"""The README's Python: pairs of a block and what the page says that it prints."""

import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
BLOCK = re.compile(r"```python\n(.*?)```(?:\n\n```\n(.*?)```)?", flags=re.DOTALL)
BLOCKS = BLOCK.findall(README.read_text())
