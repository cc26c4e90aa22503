"""The README as the package index shows it.

There, a path relative to the repository leads nowhere. With `Repository` among the
project's URLs in pyproject.toml, links and images become absolute. Without it, a link
becomes its text, and an image is left out.
"""

import re
from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface

# [text](target) and ![text](target), where the target is a path.
RELATIVE = re.compile(r"(!?)\[([^]]*)\]\((?![a-z]+:|#)([^)]+)\)")


def absolute(text: str, repository: str | None) -> str:
    """The text with its relative links led to `repository`, or taken out."""

    def replace(link: re.Match[str]) -> str:
        image, label, target = link.groups()
        if repository is None:
            return "" if image else label
        kind = "raw" if image else "blob"
        return f"{image}[{label}]({repository}/{kind}/main/{target})"

    return RELATIVE.sub(replace, text)


class ReadmeHook(MetadataHookInterface):
    """Sets the field `readme` of the distribution."""

    def update(self, metadata: dict) -> None:
        """Called by hatchling with the fields that pyproject.toml has."""
        readme = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        text = absolute(readme, metadata.get("urls", {}).get("Repository"))
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
