"""The command line, made from the fields of ``Config``."""

import argparse
import textwrap
from collections.abc import Sequence
from dataclasses import Field, fields
from typing import Any, get_args, get_type_hints

from jml.app._parser import Parser

from ._config import Config, problems_of
from ._defaults import BY_DATASET, BY_LOSS, BY_WEIGHTS
from ._earlier_names import by_present_names

EXIT_CODES = """\
exit codes:
  0    trained, and all of it written
  1    trained, but something during or after it failed: the report, a plot, a tracker
  2    a mistake that the last line says how to fix
  130  interrupted by Ctrl-C; 143 by SIGTERM"""


def parse(arguments: Sequence[str], program: str = "jml train") -> Config:
    """Turns the arguments of a command, `program`, into a ``Config``.

    ``--batch_size`` and ``--batch-size`` are the same flag; ``--flag value`` and
    ``--flag=value`` the same setting. A switch takes no value, ``true`` or ``false``,
    and ``--no_switch`` turns it off.

    Raises:
        UserError: an unknown flag, a value that does not parse, or one that ``Config``
            refuses.
        SystemExit: with code 0, after ``--help`` has been printed.

    >>> parse(["--loss", "triplet", "--batch-size=32"]).batch_size
    32
    """
    parser = _make_parser(program)
    passed = vars(parser.read(arguments))
    settings = by_present_names(passed)
    parser.problems += problems_of(settings)
    parser.check()
    return Config.of_flags(settings, passed)


def _make_parser(program: str) -> Parser:
    parser = Parser(
        prog=program,
        usage=f"{program} [--flag value ...]",
        description="Train a metric-learning model and measure its retrieval.",
        epilog=f"{_defaults_table()}\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = get_type_hints(Config)
    groups: dict[str, Any] = {}
    for item in fields(Config):
        title = item.metadata["group"]
        group = groups.get(title) or groups.setdefault(
            title, parser.add_argument_group(title)
        )
        _add_flag(parser, group, item, kinds[item.name])
    return parser


def _add_flag(parser: Parser, group: Any, item: Field, kind: Any) -> None:
    # In "float | None" the None stands for a default; nobody types it.
    kind = next((k for k in get_args(kind) if k is not type(None)), kind)
    choices = "|".join(item.metadata.get("choices", ())) or None
    default = "" if item.default is None else f" (default: {item.default})"
    # A flag that is not passed stays out of the namespace: Config has the defaults.
    common = {"help": item.metadata["help"] + default, "default": argparse.SUPPRESS}
    if kind is bool:
        group.add_argument(
            f"--{item.name}",
            nargs="?",
            const=True,
            type=parser.value(item.name, bool),
            metavar="true|false",
            **common,
        )
        group.add_argument(
            f"--no_{item.name}",
            dest=item.name,
            action="store_const",
            const=False,
            default=argparse.SUPPRESS,
            help=argparse.SUPPRESS,
        )
        return
    metavar = choices or {int: "N", float: "X"}.get(kind, "NAME")
    convert = parser.value(item.name, kind)
    group.add_argument(f"--{item.name}", type=convert, metavar=metavar, **common)
    if earlier := item.metadata.get("earlier_name"):
        convert = parser.value(earlier, kind, **item.metadata)
        common["help"] = f"another spelling of --{item.name}"
        group.add_argument(f"--{earlier}", type=convert, metavar=metavar, **common)


def _defaults_table() -> str:
    title = "defaults that depend on another flag:"
    tables = {"dataset": BY_DATASET, "weights": BY_WEIGHTS}
    rows = [row for flag, table in tables.items() for row in _columns(flag, table)]
    rows += [row for loss, table in BY_LOSS.items() for row in _wrapped(loss, table)]
    return "\n".join([title, *rows])


def _wrapped(loss: str, defaults: dict[str, Any]) -> list[str]:
    """The defaults that a loss decides, in lines of 80 characters."""
    # A space that is no break keeps a flag and its value together.
    texts = {n: f"{v:g}" if isinstance(v, float) else v for n, v in defaults.items()}
    flags = [f"--{name}\0{v}" for name, v in texts.items() if v is not None]
    lines = textwrap.wrap(
        f"--loss {loss}: {', '.join(flags)}",
        width=79,
        initial_indent="  ",
        subsequent_indent=" " * 6,
        break_on_hyphens=False,
        break_long_words=False,
    )
    return [line.replace("\0", " ") for line in lines]


def _columns(flag: str, table: dict[str, dict[str, Any]]) -> list[str]:
    """One text column per choice of ``flag``, one row per default it decides."""
    rows = [(f"--{flag}", *table)]
    for name in next(iter(table.values())):
        values = [defaults[name] for defaults in table.values()]
        rows.append((f"--{name}", *("-" if v is None else str(v) for v in values)))
    return ["  " + "".join(f"{cell:<20}" for cell in row).rstrip() for row in rows]
