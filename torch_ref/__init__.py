"""Reference implementations in PyTorch: plain, and slow where plain is slow.

Everything `jml.losses` computes is checked against these modules. They keep the
original's bookkeeping to the letter, its NaNs included.
"""

from .distances import euclidean_distances as euclidean_distances
from .distances import squared_distances as squared_distances
from .losses import ContrastiveLoss as ContrastiveLoss
from .losses import LiftedLoss as LiftedLoss
from .losses import ProxyNCA as ProxyNCA
from .losses import TripletLoss as TripletLoss

__all__ = [
    "ContrastiveLoss",
    "LiftedLoss",
    "ProxyNCA",
    "TripletLoss",
    "euclidean_distances",
    "squared_distances",
]
