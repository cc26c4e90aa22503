"""Angular loss: the formula, and its sums over positive pairs."""

from ._angular import angular_loss as angular_loss
