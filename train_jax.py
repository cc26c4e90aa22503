"""Train a metric-learning model: ``python train_jax.py --loss contrastive``."""

import sys
from collections.abc import Sequence

from jml._output import write_err
from jml.app._command import exit_code, leave
from jml.app._config import parse


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code, which ``jml.app._command`` explains."""

    def run() -> None:
        config = parse(sys.argv[1:] if arguments is None else arguments)
        for note in config.notes:
            write_err(f"train_jax.py: note: {note}")
        # JAX loads only now: --help and mistyped flags need not wait for it.
        from jml.app._train import train_and_evaluate
        from jml.training import keep_freed_memory

        keep_freed_memory()

        train_and_evaluate(config).check()

    return exit_code("train_jax.py", run)


if __name__ == "__main__":
    leave(main())
