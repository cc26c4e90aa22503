"""A page of rows of pictures: a query and what it finds, or images that are alike."""

import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple, TextIO

from jml._names import shown
from jml._optional import need
from jml._whole_files import replace

from ._page import asset, filled, style_sheet
from ._small_pictures import Image, small_picture

MOST, MOST_IN_A_ROW = 1000, 100  # pictures, of some 4 KiB each


class Picture(NamedTuple):
    """A picture and what stands below it."""

    image: Image | None  # a file, or pixels; None: it is not there any more
    lines: Sequence[str]  # the first of them also names the picture
    lead: bool = False  # whether it is what the others of its row are compared with


class PictureRow(NamedTuple):
    """Pictures that belong together."""

    title: str
    pictures: Sequence[Picture]
    note: str = ""


class PicturePage(NamedTuple):
    """What came onto a page."""

    pictures: int
    left_out: int  # pictures for which there was no room
    unreadable: int  # of the pictures on the page, those with a reason in their place


def write_picture_page(
    path: str | os.PathLike,
    title: str,
    rows: Sequence[PictureRow],
    *,
    facts: Sequence[str] = (),
    most: int = MOST,
) -> PicturePage:
    """Writes rows of pictures with captions as one page of HTML, which holds them.

    The page runs no script and loads nothing. All texts are shown as text, whatever
    they hold. Pictures are made small: at most 128 pixels. Where a picture cannot be
    read, the reason stands in its place. The pictures of the first rows are on the
    page, up to `most` and up to 100 in a row; the page says how many others there are.

    Args:
        path: file to write; it is replaced once the page is whole.
        title: title of the page.
        rows: the rows, in order.
        facts: short texts that stand below the title.
        most: how many pictures the page may have.

    Returns:
        How many pictures the page has, and how many it has not.

    Raises:
        UserError: Pillow is not installed.
        OSError: the file cannot be written.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> row = PictureRow("cups", [Picture(None, ["cup 1.jpg", "distance 0"])])
        >>> with TemporaryDirectory() as folder:
        ...     write_picture_page(f"{folder}/cups.html", "Cups", [row])
        PicturePage(pictures=1, left_out=0, unreadable=1)
    """
    need("a page of pictures", "PIL")
    planned = _fit(rows, most)
    pictures = sum(count for _, count in planned)
    left_out = sum(len(row.pictures) for row in rows) - pictures
    note = f"{left_out:,} more pictures are not on this page." if left_out else ""
    if more := len(rows) - len(planned):
        note = f"{note} Left out are the last {more:,} of {len(rows):,} rows."
    pieces = {
        "title": _text(title),
        "facts": "".join(f"<span>{_text(fact)}</span>" for fact in facts),
        "note": note.strip(),
        "style": style_sheet(
            dark="@media screen and (prefers-color-scheme: dark) {{ :root {{ {} }} }}"
        )
        + asset("pictures.css"),
    }
    unreadable = 0

    def write(unfinished: Path) -> None:
        nonlocal unreadable
        with open(unfinished, "w", encoding="utf-8") as file:
            file.write(filled(asset("pictures.html"), pieces))
            for row, count in planned:
                unreadable += _write_row(file, row, count)
            file.write("</main>\n</body>\n</html>\n")

    replace(Path(path), write)
    return PicturePage(pictures, left_out, unreadable)


def _fit(rows: Sequence[PictureRow], most: int) -> list[tuple[PictureRow, int]]:
    """The rows that fit, each with how many of its pictures."""
    planned = []
    for row in rows:
        if most <= 0:
            break
        count = min(len(row.pictures), MOST_IN_A_ROW, most)
        planned.append((row, count))
        most -= max(count, 1)
    return planned


def _write_row(file: TextIO, row: PictureRow, count: int) -> int:
    """Writes a row with its first `count` pictures; returns how many are unreadable."""
    file.write(f'<section class="row">\n<h2>{_text(row.title)}</h2>\n')
    more = len(row.pictures) - count
    notes = [row.note, f"{more:,} more are not on this page" * bool(more)]
    if text := "; ".join(filter(None, notes)):
        file.write(f'<p class="note">{_text(text)}</p>\n')
    file.write('<div class="pictures">\n')
    unreadable = 0
    for picture in row.pictures[:count]:
        html, readable = _figure(picture)
        file.write(html)
        unreadable += not readable
    file.write("</div>\n</section>\n")
    return unreadable


def _figure(picture: Picture) -> tuple[str, bool]:
    kind = "picture lead" if picture.lead else "picture"
    name = _text(picture.lines[0]) if picture.lines else ""
    readable, reason = picture.image is not None, "no picture"
    inside = ""
    if picture.image is not None:
        try:
            source = small_picture(picture.image)
            inside = f'<img src="{source}" alt="{name}" loading="lazy">'
        except ValueError as error:
            readable, reason = False, str(error)
    inside = inside or f"<span>{_text(reason)}</span>"
    lines = "".join(f"<span>{_text(line)}</span>" for line in picture.lines)
    return (
        f'<figure class="{kind}"><div class="frame">{inside}</div>'
        f"<figcaption>{lines}</figcaption></figure>\n",
        readable,
    )


def _text(text: str) -> str:
    return escape(shown(text))
