"""``python -m jml.evaluation``: a front door onto the command, which says more."""

from jml.app._command import leave
from jml.app._evaluate import main

if __name__ == "__main__":
    leave(main())
