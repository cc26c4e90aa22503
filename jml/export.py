"""``python -m jml.export``: a front door onto the command, which says more."""

from jml.app._command import leave
from jml.app._export import main

if __name__ == "__main__":
    leave(main())
