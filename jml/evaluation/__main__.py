"""Entry point of ``python -m jml.evaluation``; see ``jml.app._evaluate``."""

from jml.app._early_exit import exit_at_signals

if __name__ == "__main__":
    exit_at_signals("python -m jml.evaluation")
    from jml.app._command import leave
    from jml.app._evaluate import main

    leave(main())
