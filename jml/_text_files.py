"""Text from any editor: marks of byte order, ends of lines."""

import codecs
import os

# The four bytes first: those of UTF-32 begin with those of UTF-16.
MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def read_lines(path: str | os.PathLike) -> list[str]:
    """The lines of a text, in the encoding of its mark or in UTF-8, without the mark.

    Bytes that are no UTF-8 stay what they are in the names of files (``os.fsdecode``).

    Raises:
        OSError: the file cannot be read.
        UnicodeDecodeError: it is not in the encoding that its mark says.
    """
    with open(path, "rb") as file:
        data = file.read()
    marked = (name for mark, name in MARKS.items() if data.startswith(mark))
    encoding = next(marked, None)
    if encoding is None:
        text = data.decode("utf-8", errors="surrogateescape")
    else:
        text = data.decode(encoding)
    # str.splitlines also splits at characters that names may hold, such as U+2028.
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return [line.lstrip("\ufeff") for line in lines]
