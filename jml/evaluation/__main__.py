"""Entry point of ``python -m jml.evaluation``; see ``jml.app._evaluate``."""

from jml.app._command import leave
from jml.app._evaluate import main

if __name__ == "__main__":
    leave(main())
