"""The parser of every command: one wording of a mistake, and all mistakes at once.

Only the standard library is imported here: a mistake is reported before JAX is loaded.
"""

import argparse
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from jml.app._values import check_value, suggest
from jml.errors import UserError

_WORDS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


class Parser(argparse.ArgumentParser):
    """A parser that raises a ``UserError`` where argparse would print its usage.

    `read` parses as the commands do, and collects in `problems` what is wrong with the
    flags; `check` raises them all.
    """

    def __init__(self, **options: Any) -> None:
        """Takes what argparse takes. A flag has to be spelled in full."""
        super().__init__(**{"allow_abbrev": False, **options})
        self.problems: list[str] = []

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
                return None
            return value

        return convert

    def read(self, words: Sequence[str]) -> argparse.Namespace:
        """Parses all words. ``--batch_size`` and ``--batch-size`` are the same flag."""
        words = [_underscored(word) for word in words]
        known = tuple(self._option_string_actions)
        flags = [word.partition("=")[0] for word in words if word.startswith("--")]
        unknown = [flag for flag in flags if flag not in known and flag != "--"]
        self.problems = [unknown_flag(flag, known) for flag in dict.fromkeys(unknown)]
        try:
            options, rest = self.parse_known_args(words)
        except UserError as error:  # argparse stops at it
            self.problems.append(str(error))
            self.check()
            raise
        if rest and not unknown:
            self.problems.append(unknown_flag(rest[0], known))
        return options

    def check(self) -> None:
        """Raises a UserError about all `problems`, if there are any."""
        if self.problems:
            raise UserError(" ".join(self.problems))


def unknown_flag(flag: str, known: Sequence[str]) -> str:
    """The line about a flag, or another word, that a command does not know."""
    return f"{flag}: unknown argument; {suggest(flag, known) or 'see --help.'}".strip()


def _converted(name: str, text: str, kind: type) -> Any:
    if kind is bool:
        if text.lower() not in _WORDS:
            raise UserError(f"--{name}: {text!r} is neither true nor false.")
        return _WORDS[text.lower()]
    try:
        return kind(text)
    except ValueError:
        words = "a whole number" if kind is int else "a number"
        raise UserError(f"--{name}: {text!r} is not {words}.") from None


def _underscored(argument: str) -> str:
    """Spells a flag with ``_``: ``--batch-size=8`` becomes ``--batch_size=8``."""
    if not argument.startswith("--") or argument == "--":
        return argument
    flag, equals, value = argument[2:].partition("=")
    return f"--{flag.replace('-', '_')}{equals}{value}"
