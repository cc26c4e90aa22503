"""``jml train`` from a clone: ``python train_jax.py --loss contrastive``."""

from functools import partial

from jml.app import _train_command
from jml.app._command import leave

main = partial(_train_command.main, program="train_jax.py")

if __name__ == "__main__":
    leave(main())
