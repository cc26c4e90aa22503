"""``jml train`` from a clone: ``python train_jax.py --loss contrastive``."""

from collections.abc import Sequence

from jml.app._early_exit import exit_at_signals

PROGRAM = "train_jax.py"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code, which ``jml.app._command`` explains."""
    from jml.app._train_command import main

    return main(arguments, program=PROGRAM)


if __name__ == "__main__":
    exit_at_signals(PROGRAM)
    from jml.app._command import leave

    leave(main())
