"""Entry point of ``python -m jml.export``; see ``jml.app._export``."""

from jml.app._command import leave
from jml.app._export import main

if __name__ == "__main__":
    leave(main())
