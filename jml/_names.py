r"""Names of files and classes: kept byte for byte, and made readable for people.

On Linux a name is bytes. Python keeps a byte that is not UTF-8 as a lone surrogate
(PEP 383): such a name opens its file, and JSON in ASCII can hold it, but it cannot be
printed. So a name is passed on as it is, and ``shown`` or ``quoted`` makes it readable
only where it is printed.
"""

import errno
import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


def name_bytes(name: str) -> bytes:
    r"""The bytes of a name, for digests: names that look alike may differ in them.

    >>> name_bytes("caf\udce9")
    b'caf\xe9'
    """
    try:
        return name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # on Windows, half a pair of UTF-16
        return name.encode("utf-8", "surrogatepass")


def shown(name: object) -> str:
    r"""A name to print: U+FFFD replaces what is not UTF-8, so names may look alike.

    >>> shown("caf\udce9")
    'caf\ufffd'
    """
    return name_bytes(str(name)).decode("utf-8", "replace")


def quoted(value: object) -> str:
    r"""The `repr` of a value to print; a path's is that of its text, and both readable.

    >>> print(quoted("caf\udce9"), quoted(8))
    'caf\ufffd' 8
    """
    if isinstance(value, str | os.PathLike):
        return repr(shown(value))
    return repr(value)


def on_one_line(name: object) -> str:
    r"""A name in one line of a terminal, which no character of it controls.

    >>> on_one_line("a\nb\x1b[2J")
    'a\\nb\\x1b[2J'
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in shown(name))


def shell_line(words: Sequence[str]) -> str:
    r"""A command that can be printed and run: bash and zsh read ``\x`` in ``$'...'``.

    >>> print(shell_line(["ls", "my runs", "caf\udce9"]))
    ls 'my runs' $'caf\xe9'
    """
    return " ".join(map(_shell_word, words))


def _shell_word(word: str) -> str:
    if shown(word) == word:
        return shlex.quote(word)
    plain = set(range(0x20, 0x7F)) - set(b"'\\")
    characters = (chr(b) if b in plain else f"\\x{b:02x}" for b in name_bytes(word))
    return f"$'{''.join(characters)}'"


@contextmanager
def utf8_path(path: Path) -> Iterator[Path]:
    """A UTF-8 path to a folder of any name, for libraries that refuse other names.

    It is the path itself if that is UTF-8. Otherwise it is a path through ``/proc``, to
    the deepest parent with such a name, which is created if need be and kept open: the
    path is valid until the block ends, also in other processes of this user.

    Raises:
        OSError: the folder cannot be made, or the system has no ``/proc``.
    """
    path = path.absolute()
    strange = [i for i, part in enumerate(path.parts) if shown(part) != part]
    if not strange:
        yield path
        return
    last = strange[-1] + 1
    folder, rest = Path(*path.parts[:last]), path.parts[last:]
    folder.mkdir(parents=True, exist_ok=True)
    opened = os.open(folder, os.O_RDONLY)
    try:
        link = Path(f"/proc/{os.getpid()}/fd/{opened}")
        if not link.is_dir():
            raise OSError(errno.EILSEQ, "its name is not UTF-8", str(path))
        yield link.joinpath(*rest)
    finally:
        os.close(opened)
