r"""From the library's arguments to the commands' flags.

The library does not know the commands. Its messages name arguments, in backticks:
"`root`: no such folder; pass `nested=True`". Who typed a command has to read which
flag to change, so the commands pass every message through ``with_flags``.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields

from jml.app._config import Config
from jml.errors import UserError

# An argument and, perhaps, a value: `nested`, `nested=True`, `weights="none"`.
ARGUMENT = r"(?<!`)`([A-Za-z_]\w*)(?:=([^`]*))?`(?!`)"
# A value of the user's, as repr has it: it may hold backticks of its own.
QUOTED = r"""(?<!\w)'(?:[^'\\]|\\.)*'|(?<!\w)"(?:[^"\\]|\\.)*\""""

# Flags of another name than the library's argument. A key that has a value stands for
# that setting alone.
RENAMED = {
    "every": "--eval_interval",
    "folder": "--checkpoints_path",
    "freeze_proxies": "--proxies fixed",
    "keep": "--keep_checkpoints",
    "listing": "--dataroot",
    "path": "--dataroot",
    "root": "--dataroot",
    "skip_bad=True": "--on_bad_image skip",
    "skip_bad=False": "--on_bad_image error",
    "skip_bad": "--on_bad_image",
    "steps": "--maxiter",
    "workers": "--nworkers",
}
FLAGS: Mapping[str, str] = {
    **{item.name: f"--{item.name}" for item in fields(Config)},
    **RENAMED,
}


def with_flags(
    message: str, flags: Mapping[str, str] = FLAGS, *, names: Sequence[str] = ()
) -> str:
    """The message with a flag in place of each argument that `flags` has.

    A switch loses its value: ``nested=True`` is ``--nested``, and ``nested=False`` is
    ``--no_nested``. What `flags` does not have stays as it is, and so does what stands
    in quotes: a file may be called `root`.

    Args:
        message: of the library.
        flags: from an argument, or an argument and its value, to the flag.
        names: of the user's that may stand in the message without quotes.

    >>> with_flags('`root`: no images; pass `weights="none"` or `nested=True`, `x=1`')
    '--dataroot: no images; pass --weights none or --nested, `x=1`'
    """

    def flag(argument: re.Match[str]) -> str:
        name, value = argument.groups()
        if name is None:  # a value of the user's
            return argument.group()
        known = flags.get(f"{name}={value}")
        if known is not None:
            return known
        known = flags.get(name)
        if known is None:
            return argument.group()
        if value is None or value == "True":
            return known
        if value == "False":
            return f"--no_{known.removeprefix('--')}"
        quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
        return f"{known} {value[1:-1] if quoted else value}"

    return re.sub(f"{_of_the_user(names)}|{ARGUMENT}", flag, message)


def _of_the_user(names: Sequence[str]) -> str:
    """The pattern of what a user chose: `names`, and what stands in quotes."""
    return "|".join([*map(re.escape, filter(None, names)), QUOTED])


def on_finished_run(message: str, *, names: Sequence[str] = ()) -> str:
    """The message with flags, for a command on a finished run.

    Of the settings, such a command takes the place of the data alone. Where the message
    names flags of others, a sentence says so.

    >>> on_finished_run("`listing`: no image 'a'; remove it, or pass `skip_bad=True`.")
    "--dataroot: no image 'a'; ... --on_bad_image skip. Only jml train takes ..."
    """
    message = with_flags(message, names=names)
    own_words = re.sub(_of_the_user(names), "", message)
    flags = dict.fromkeys(re.findall(r"(?<![\w-])--[a-z]\w*", own_words))
    flags.pop("--dataroot", None)
    if not flags:
        return message
    end = "" if message.endswith(".") else "."
    return f"{message}{end} Only jml train takes {' and '.join(flags)}."


@contextmanager
def of_finished_run() -> Iterator[None]:
    """Within it, errors say which of their flags such a command lacks."""
    try:
        yield
    except UserError as error:
        raise UserError(on_finished_run(str(error))) from error.__cause__


@contextmanager
def flags_for(**flags: str) -> Iterator[None]:
    """Within it, errors of the library name these flags.

    For a name that ``FLAGS`` lacks, or has for something else: the ``name`` of
    ``jml.data.tfds`` is a part of ``--dataset``, and not the ``--name`` of a run.

    >>> with flags_for(name="--dataset"):
    ...     raise UserError("`name`: no data set 'minst'.")
    Traceback (most recent call last):
    ...
    jml.errors.UserError: --dataset: no data set 'minst'.
    """
    try:
        yield
    except UserError as error:
        raise UserError(with_flags(str(error), flags)) from error.__cause__
