"""Losses of class weights, from a few classes to millions: the second core.

Items are compared with classes, each of which has a row of weights or several. There
may be too many for the matrix of items and classes to be kept, or for one device.
"""

from ._arguments import ClassBatch
from ._class_loss import class_loss
from ._statistics import Statistics
from ._tile import Tile
from ._two_passes import Formula

__all__ = ["ClassBatch", "Formula", "Statistics", "Tile", "class_loss"]
