"""CLIP loss, and what its denominators are sums of."""

from ._clip import clip_loss as clip_loss

__all__ = ["clip_loss"]
