"""Triplet loss: the function, and one module for each way to mine."""

from ._triplet import triplet_loss as triplet_loss

__all__ = ["triplet_loss"]
