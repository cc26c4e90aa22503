"""The parser of every command: one wording of a mistake, and all mistakes at once.

Only the standard library is imported here: a mistake is reported before JAX is loaded.
"""

import argparse
import re
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from jml._names import quoted
from jml.app._values import check_value, suggest
from jml.errors import UserError

_WORDS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
# What argparse takes for the value of a flag though it begins with a dash.
NEGATIVE = re.compile(r"-(\.?\d|inf|nan)")


class Parser(argparse.ArgumentParser):
    """A parser that raises a ``UserError`` where argparse would print its usage.

    `read` parses as the commands do, and collects in `problems` what is wrong with the
    flags; `check` raises them all.
    """

    def __init__(self, **options: Any) -> None:
        """Takes what argparse takes. A flag has to be spelled in full."""
        super().__init__(**{"allow_abbrev": False, **options})
        self._negative_number_matcher = NEGATIVE
        self.problems: list[str] = []
        self.unknown: list[str] = []  # flags that `read` did not know
        self._refused: set[str] = set()  # flags whose value is a mistake

    def error(self, message: str) -> NoReturn:
        """Replaces argparse's usage dump by the one line every mistake gets."""
        flag, _, problem = message.removeprefix("argument ").partition(": ")
        raise UserError(f"{flag}: {problem}; see --help." if problem else f"{message}.")

    def value(self, name: str, kind: type, **rules: Any) -> Callable[[str], Any]:
        """The `type` of the flag ``--name``: a mistake goes to `problems`.

        Args:
            name: of the flag, without dashes.
            kind: int, float, bool or str.
            rules: on the value, as `check_value` has them; none where whoever gets the
                value checks it.
        """

        def convert(text: str) -> Any:
            try:
                value = _converted(name, text, kind)
                if rules:
                    check_value(name, value, kind, rules)
            except UserError as error:
                self.problems.append(str(error))
                self._refused.add(name)
                return None
            return value

        return convert

    def read(self, words: Sequence[str]) -> argparse.Namespace:
        """Parses all words. ``--batch_size`` and ``--batch-size`` are the same flag.

        What stands after ``--`` is no flag. A flag whose value is a mistake is not in
        the result.
        """
        end = words.index("--") if "--" in words else len(words)
        words = [*map(_underscored, words[:end]), *words[end:]]
        flags = [word.partition("=")[0] for word in words[:end] if word[:2] == "--"]
        known = self._option_string_actions
        self.unknown = list(dict.fromkeys(flag for flag in flags if flag not in known))
        self.problems = [unknown_flag(flag, tuple(known)) for flag in self.unknown]
        try:
            options, rest = self.parse_known_args(words)
        except UserError as error:  # argparse stops at it
            self.problems.append(str(error))
            self.check()
            raise
        rest = [word for word in rest if word != "--"]
        if rest and not self.unknown:
            near = () if rest[0] in known else tuple(known)  # it stands after --
            self.problems.append(unknown_flag(rest[0], near))
        accepted = {k: v for k, v in vars(options).items() if k not in self._refused}
        return argparse.Namespace(**accepted)

    def check(self) -> None:
        """Raises a UserError about all `problems`, if there are any."""
        if self.problems:
            raise UserError(" ".join(self.problems))


def unknown_flag(flag: str, known: Sequence[str]) -> str:
    """The line about a flag, or another word, that a command does not know."""
    settings = [
        name
        for name in known
        if name not in ("-h", "--help") and not name.startswith("--no_")
    ]
    hint = suggest(flag, settings, cutoff=0.75) or "see --help."
    return f"{flag}: unknown argument; {hint}".strip()


def _converted(name: str, text: str, kind: type) -> Any:
    if kind is bool:
        if text.lower() not in _WORDS:
            raise UserError(f"--{name}: {quoted(text)} is neither true nor false.")
        return _WORDS[text.lower()]
    try:
        return kind(text)
    except ValueError:
        words = "a whole number" if kind is int else "a number"
        raise UserError(f"--{name}: {quoted(text)} is not {words}.") from None


def _underscored(argument: str) -> str:
    """Spells a flag with ``_``: ``--batch-size=8`` becomes ``--batch_size=8``."""
    if not argument.startswith("--"):
        return argument
    flag, equals, value = argument[2:].partition("=")
    return f"--{flag.replace('-', '_')}{equals}{value}"


def add_no_compile_cache(parser: Parser) -> None:
    """Adds the flag of the commands that compile programs."""
    parser.add_argument(
        "--no_compile_cache",
        action="store_true",
        help="compiled programs are not kept in the user's cache folder",
    )
