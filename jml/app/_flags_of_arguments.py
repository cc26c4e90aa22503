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

    values = "|".join([*map(re.escape, filter(None, names)), QUOTED])
    return re.sub(f"{values}|{ARGUMENT}", flag, message)


def settled(message: str) -> str:
    """A message for a command on a finished run, which settles all but the data's root.

    Advice to pass what the command does not take is left out, and arguments that name
    a setting of the run are named without a flag.

    >>> settled("`listing`: no image 'a'; remove it, or pass `skip_bad=True`.")
    "`listing`: no image 'a'; remove it."
    """

    def without(argument: re.Match[str]) -> str:
        name, value = argument.groups()
        if FLAGS.get(name) in (None, "--dataroot"):
            return argument.group()
        return name if value is None else f"{name}={value}"

    names = "|".join(name for name in {*FLAGS} if FLAGS[name] != "--dataroot")
    one = f"`(?:{names})(?:=[^`]*)?`"
    message = re.sub(f"^{one}: ", "", message)
    message = re.sub(f"(?:,? or|;)(?: pass)?(?: another)? {one}[^;.]*", "", message)
    return re.sub(ARGUMENT, without, message)


@contextmanager
def of_finished_run() -> Iterator[None]:
    """Within it, errors of the library name no flag that such a command lacks."""
    try:
        yield
    except UserError as error:
        raise UserError(settled(str(error))) from error.__cause__


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
