"""Deep metric learning in JAX, proven equal to PyTorch.

Import what you need: ``from jml import losses``. Each sub-package brings its own
dependencies, so ``jml.losses`` asks for nothing beyond JAX, NumPy and jaxtyping.
"""

__version__ = "0.1.0"
