"""Lifted structured loss: the function, and its sums."""

from ._lifted import lifted_loss as lifted_loss

__all__ = ["lifted_loss"]
