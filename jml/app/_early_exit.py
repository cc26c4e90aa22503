"""Ctrl-C and SIGTERM while a command loads: one line, and the process ends at once.

JAX takes some tenths of a second to load. A KeyboardInterrupt that is raised there may
be lost in a callback, leave an extension module as another error, or crash it. Nothing
has been begun yet, so the signal's handler itself ends the process.

An entry point imports this module first, and this module almost nothing: what is loaded
before its handlers are in place is not protected.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
Handler = Callable[[int, FrameType | None], Any]
Handlers = dict[signal.Signals, Handler]
_program: str | None = None  # as messages name it; None: jml does not own the process


def exit_at_signals(program: str) -> None:
    """From here on a signal ends the process, which `program` was started for."""
    global _program
    _program = program
    _handle({number: _exit for number in SIGNALS})


@contextmanager
def raising(program: str, on_sigterm: Handler) -> Iterator[None]:
    """Handles signals while `program` runs.

    Ctrl-C raises KeyboardInterrupt and SIGTERM calls `on_sigterm`. Where jml does not
    own the process, Ctrl-C does what it did before. Afterwards the handlers, and the
    program that messages name, are those from before.
    """
    global _program
    handlers, outer = {signal.SIGTERM: on_sigterm}, _program
    if outer is not None:
        _program = program
        handlers[signal.SIGINT] = signal.default_int_handler
    try:
        with _sent_again_if_lost(handlers) as sending, _handled(sending):
            yield
    finally:
        _program = outer


@contextmanager
def _sent_again_if_lost(handlers: Handlers) -> Iterator[Handlers]:
    """Makes handlers whose signal is sent again where what they raise is lost.

    Python only reports what is raised in a callback of the garbage collector or of a
    weak reference. JAX has one of the former, and it is often what runs first when a
    program has been compiled.
    """
    report, raised = sys.unraisablehook, {}

    def handle(number: int, frame: FrameType | None) -> None:
        try:
            handlers[signal.Signals(number)](number, frame)
        except BaseException as error:
            raised[id(error)] = error, number
            raise

    def send_again(lost: "sys.UnraisableHookArgs") -> None:
        if id(lost.exc_value) in raised:
            _send_soon(raised.pop(id(lost.exc_value))[1])
        else:
            report(lost)

    sys.unraisablehook = send_again
    try:
        yield dict.fromkeys(handlers, handle)
    finally:
        sys.unraisablehook = report


def _send_soon(number: int) -> None:
    """Sends this process a signal when the callback that runs now has ended."""
    import threading

    main = threading.main_thread().ident or 0
    send = partial(signal.raise_signal, number)
    if hasattr(signal, "pthread_kill"):
        send = partial(signal.pthread_kill, main, number)
    timer = threading.Timer(0.01, send)
    timer.daemon = True
    timer.start()


@contextmanager
def loading() -> Iterator[None]:
    """Within it modules are loaded: a signal ends the process, if jml owns it."""
    owned = SIGNALS if _program is not None else ()
    with _handled({number: _exit for number in owned}):
        yield


@contextmanager
def _handled(handlers: Handlers) -> Iterator[None]:
    earlier = _handle(handlers)
    try:
        yield
    finally:
        _handle(earlier)


def _handle(handlers: Mapping[signal.Signals, Any]) -> dict[signal.Signals, Any]:
    """Sets the handlers; returns those before.

    A signal that the process was started to ignore (by nohup, say) stays ignored.
    """
    earlier = {}
    for number, handler in handlers.items():
        if signal.getsignal(number) is not signal.SIG_IGN:
            earlier[number] = signal.signal(number, handler)
    return earlier


def _exit(number: int, frame: FrameType | None) -> None:
    with suppress(Exception):  # a closed stream
        sys.stdout.flush()
    with suppress(OSError):
        os.write(2, f"{_program}: interrupted.\n".encode())
    os._exit(128 + number)
