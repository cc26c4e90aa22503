"""Programs are compiled in threads while the run does other work.

XLA compiles without Python's lock. A jitted function finds what was compiled for the
same kinds of arguments, so it is called as ever, once its program is there.
"""

import atexit
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from jml._threads import as_here
from jml.app._command import COMPILES

Result = TypeVar("Result")
LONG = 10  # seconds after which a log mentions the wait


class Ahead:
    """Compiles in threads, and says for what the run waits."""

    def __init__(self, notify: Callable[[str], None]) -> None:
        """Begins with no programs; `notify` is called with lines about the progress."""
        self._notify = notify
        self._threads: dict[str, threading.Thread] = {}

    def begin(self, what: str, compile_it: Callable[[], object]) -> None:
        """Begins to compile a program: `compile_it` runs in a thread.

        Errors are not reported: the function raises them again when it is called.
        """
        compile_here = as_here(compile_it)

        def work() -> None:
            with suppress(Exception):
                compile_here()

        # A daemon: a run that fails leaves without it. Python must not end below it.
        thread = threading.Thread(target=work, name=COMPILES, daemon=True)
        thread.start()
        atexit.register(thread.join)
        self._threads[what] = thread

    def before(self, what: str, call: Callable[..., Result]) -> Callable[..., Result]:
        """Returns a function that waits for a program at first, and then calls."""

        def waiting(*arguments: Any) -> Result:
            self.wait(what)
            return call(*arguments)

        return waiting

    def wait(self, what: str) -> None:
        """Waits until a program is compiled, and says so."""
        thread = self._threads.pop(what, None)
        if thread is None or not thread.is_alive():
            return
        from tqdm import tqdm

        line, began, told = f"compiling {what} ...", time.monotonic(), False
        with tqdm(bar_format="{desc}", leave=False, disable=None) as bar:
            while thread.is_alive():
                seconds = time.monotonic() - began
                bar.set_description_str(f"{line} {seconds:.0f} s")
                if bar.disable and seconds > LONG and not told:
                    self._notify(line)
                    told = True
                thread.join(1)
