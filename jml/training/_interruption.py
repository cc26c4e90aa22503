"""SIGINT and SIGTERM as requests that are met when a step is done."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from jml.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """The first signal is noted; a second one does what it did before.

    Within ``at_once`` the first raises ``Interrupted``, too: what goes on there can be
    given up at any moment.
    """

    def __init__(self) -> None:
        """Nothing has come yet."""
        self.number: int | None = None
        self._at_once = False
        self._earlier: dict[int, Any] = {}

    def __enter__(self) -> "Interruption":
        """Starts to listen, which only the main thread can."""
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                self._earlier[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *error: object) -> None:
        """Leaves the signals to whom they belonged."""
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
        """What is done in here is given up when a signal comes."""
        self._at_once = True
        try:
            if self.number is not None:
                raise Interrupted(self.number)
            yield
        finally:
            self._at_once = False
