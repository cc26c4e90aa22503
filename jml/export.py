"""Entry point of ``python -m jml.export``; see ``jml.app._export``."""

from jml.app._early_exit import exit_at_signals

if __name__ == "__main__":
    exit_at_signals("python -m jml.export")
    from jml.app._command import leave
    from jml.app._export import main

    leave(main())
