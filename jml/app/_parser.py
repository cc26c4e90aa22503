"""The parser of every command: a mistake is one line, and no dump of the usage."""

import argparse
from typing import NoReturn

from jml.errors import UserError


class Parser(argparse.ArgumentParser):
    """A parser that raises a ``UserError`` where argparse would print its usage."""

    def error(self, message: str) -> NoReturn:
        """Replaces argparse's usage dump by the one line every mistake gets."""
        flag, _, problem = message.removeprefix("argument ").partition(": ")
        raise UserError(f"{flag}: {problem}; see --help." if problem else f"{message}.")
