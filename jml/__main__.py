"""Entry point of ``python -m jml`` and of ``jml``; see ``jml.app._console``."""

from typing import NoReturn

from jml.app._early_exit import exit_at_signals


def run() -> NoReturn:
    """Runs the command that the process was started with, and ends the process."""
    exit_at_signals("jml")
    from jml.app._command import leave
    from jml.app._console import main

    leave(main())


if __name__ == "__main__":
    run()
