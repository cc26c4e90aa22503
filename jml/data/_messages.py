"""How messages quote names and count things."""

from collections.abc import Iterable

from jml._names import quoted

NAMED = 10  # names that a message lists
LONGEST = 160  # characters of a name that a message shows


def quote(text: str) -> str:
    """Quotes a name or a line of a file, without the middle of a long one."""
    half = LONGEST // 2
    return quoted(text if len(text) <= LONGEST else f"{text[:half]}...{text[-half:]}")


def name_some(names: Iterable[str]) -> str:
    """Lists the first ten names, and how many more there are.

    >>> name_some(["a", "b"])
    "'a', 'b'"
    >>> name_some(str(i) for i in range(1200))[-18:]
    "'9' and 1,190 more"
    """
    names = list(names)
    listed = ", ".join(map(quote, names[:NAMED]))
    rest = len(names) - NAMED
    return listed + (f" and {rest:,} more" if rest > 0 else "")


def counted(number: int, noun: str) -> str:
    """Puts a number before a noun, in the plural where it takes one.

    >>> counted(1, "image"), counted(1200, "image")
    ('1 image', '1,200 images')
    """
    return f"{number:,} {noun}{'s' * (number != 1)}"
