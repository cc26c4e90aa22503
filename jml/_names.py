r"""Names of files and classes: bytes on Linux, and text where people read them.

Python keeps a byte that is not UTF-8 as a lone surrogate (PEP 383), so the name still
opens its file, and JSON in ASCII holds it as it is. Neither can be printed. So names
are passed on exactly, and go through ``shown`` on their way to people alone.
"""

import errno
import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


def name_bytes(name: str) -> bytes:
    r"""The bytes of a name: for digests, which tell apart what looks alike.

    >>> name_bytes("caf\udce9")
    b'caf\xe9'
    """
    try:
        return name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # on Windows, half a pair of UTF-16
        return name.encode("utf-8", "surrogatepass")


def shown(name: object) -> str:
    r"""Text for people: U+FFFD stands for what is not UTF-8. Several may look alike.

    >>> shown("caf\udce9")
    'caf\ufffd'
    """
    return name_bytes(str(name)).decode("utf-8", "replace")


def shell_line(words: Sequence[str]) -> str:
    r"""A command to read and to run: bash and zsh read ``\x`` in ``$'...'``.

    >>> print(shell_line(["ls", "my runs", "caf\udce9"]))
    ls 'my runs' $'caf\xe9'
    """
    return " ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    if shown(word) == word:
        return shlex.quote(word)
    plain = set(range(0x20, 0x7F)) - set(b"'\\")
    characters = (chr(b) if b in plain else f"\\x{b:02x}" for b in name_bytes(word))
    return f"$'{''.join(characters)}'"


@contextmanager
def utf8_path(path: Path) -> Iterator[Path]:
    """A way to a folder, made if need be, for libraries that take UTF-8 alone.

    That is the path itself, or one through ``/proc`` that other processes of this user
    can take, too, until the block ends.

    Raises:
        OSError: the folder cannot be made, or there is no such way.
    """
    path = path.absolute()
    strange = [i for i, part in enumerate(path.parts) if shown(part) != part]
    if not strange:
        yield path
        return
    last = strange[-1] + 1
    known, rest = Path(*path.parts[:last]), path.parts[last:]
    known.mkdir(parents=True, exist_ok=True)
    opened = os.open(known, os.O_RDONLY)
    try:
        way = Path(f"/proc/{os.getpid()}/fd/{opened}")
        if not way.is_dir():
            raise OSError(errno.EILSEQ, "its name is not UTF-8", str(path))
        yield way.joinpath(*rest)
    finally:
        os.close(opened)
