r"""Names of files and classes in columns of UTF-8, without a loss.

A name on Linux is bytes, and a column of a table holds UTF-8. No name holds a NUL, so
NUL can mark what UTF-8 cannot hold: of a byte that is not UTF-8 Python makes a lone
surrogate, and the table has NUL and its four hexadecimal digits instead. A name that
is UTF-8 stands there as it is.
"""

import re

_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_ESCAPED = re.compile("\0([0-9a-f]{4})")


def to_table(name: str) -> str:
    r"""A name as UTF-8 can hold it.

    >>> to_table("café/1.jpg"), to_table("caf\udce9/1.jpg")
    ('café/1.jpg', 'caf\x00dce9/1.jpg')
    """
    return _NO_TEXT.sub(lambda found: f"\0{ord(found.group()):04x}", name)


def from_table(text: str) -> str:
    r"""The name that `to_table` made this text of.

    >>> from_table("caf\0dce9/1.jpg")
    'caf\udce9/1.jpg'
    """
    if "\0" not in text:
        return text
    return _ESCAPED.sub(lambda found: chr(int(found.group(1), 16)), text)
