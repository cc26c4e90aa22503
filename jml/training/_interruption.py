"""SIGINT and SIGTERM as requests, which the loop meets after a step."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from jml.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Notes the first signal; a second one has Python's default effect.

    Within ``at_once`` the first signal also raises `Interrupted`: there is work that
    may be abandoned at any moment.
    """

    def __init__(self) -> None:
        """Starts with no signal noted."""
        self.number: int | None = None
        self._at_once = False
        self._earlier: dict[int, Any] = {}

    def __enter__(self) -> "Interruption":
        """Handles the signals, in the main thread; Python allows no other to."""
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                self._earlier[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *error: object) -> None:
        """Restores the handlers that were there before."""
        self._restore()

    def _restore(self) -> None:
        while self._earlier:
            signal.signal(*self._earlier.popitem())

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        self._restore()
        if self._at_once:
            raise Interrupted(number)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Raises `Interrupted` in this block: at a signal, or if one came before."""
        self._at_once = True
        try:
            if self.number is not None:
                raise Interrupted(self.number)
            yield
        finally:
            self._at_once = False
