"""Checkpoints of a training state: saved in the background, restored bit for bit."""

from ._checkpoints import Checkpoints as Checkpoints

__all__ = ["Checkpoints"]
