"""Text files from any editor: byte order marks, and all kinds of line ends."""

import codecs
import os

# UTF-32 comes first: its marks begin with those of UTF-16.
MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def read_lines(path: str | os.PathLike) -> list[str]:
    """The lines of a text file, decoded by its byte order mark, or else as UTF-8.

    Bytes that are no UTF-8 become lone surrogates, as in the names of files
    (``os.fsdecode``).

    Raises:
        OSError: the file cannot be read.
        UnicodeDecodeError: the file is not in the encoding of its mark.
    """
    with open(path, "rb") as file:
        data = file.read()
    encodings = (name for mark, name in MARKS.items() if data.startswith(mark))
    encoding = next(encodings, None)
    if encoding is None:
        text = data.decode("utf-8", errors="surrogateescape")
    else:
        text = data.decode(encoding)
    # str.splitlines also splits at characters that names may hold, such as U+2028.
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return [line.lstrip("\ufeff") for line in lines]
