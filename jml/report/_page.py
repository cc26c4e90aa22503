"""The page: one file that holds everything, and runs nothing but its own script."""

import json
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import Any

from ._thumbnails import COLUMNS

SCRIPTS = ("charts.js", "map.js", "queries.js", "page.js")


def render(data: Mapping[str, Any], sheets: Sequence[str]) -> str:
    """The HTML of a report, with its images in data URIs.

    Names of classes reach the page as JSON and are shown as text. In case one becomes
    markup all the same, the policy in the page's head allows only the script whose
    digest it names.
    """
    script = "\n".join(asset(name) for name in SCRIPTS)
    digest = b64encode(sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline';"
        f" script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    style = style_sheet(dark=':root[data-theme="dark"] {{ {} }}') + "".join(
        f"\n.sheet{i} {{ background-image: url({uri}); }}"
        for i, uri in enumerate(sheets)
    )
    pieces = {
        "policy": policy,
        "title": escape(str(data["title"])),
        "style": style,
        "data": as_json({**data, "images": bool(sheets), "columns": COLUMNS}),
        "script": script,
    }
    return filled(asset("page.html"), pieces)


def filled(template: str, pieces: Mapping[str, str]) -> str:
    """The template with a piece in place of each ``{{name}}``.

    One pass replaces all marks, so that inserted text with marks stays as it is.
    """
    return re.sub(r"\{\{(\w+)\}\}", lambda mark: pieces[mark[1]], template)


def style_sheet(*, dark: str) -> str:
    """The style of all pages; `dark` is the rule for the dark colours, ``{}`` them."""
    light = f":root {{ {asset('light.css')} }}"
    return "\n".join([light, dark.format(asset("dark.css")), asset("page.css")])


def as_json(data: Any) -> str:
    """JSON for a script element: without ``<``, which could end it or start another."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def asset(name: str) -> str:
    """The text of a file in ``assets``."""
    return (files("jml.report") / "assets" / name).read_text(encoding="utf-8")
