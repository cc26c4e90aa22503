"""What the losses under test are compared with: records, PyTorch's losses, definitions.

They stand apart from the losses themselves: what spreads these needs no PyTorch.
"""

from functools import partial
from pathlib import Path

import numpy as np
import torch

import torch_ref
from jml._loss_specs import variants
from tests.losses.definitions import value_of
from tests.losses.oracles import ORIGINAL, PAPER

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "seed_losses.npz")
GOLDEN_CASES = sorted({key.split("/")[0] for key in GOLDEN})
MARGINS = ("0.1", "0.5", "1.0")
REFERENCES = {
    "contrastive": torch_ref.ContrastiveLoss,
    "triplet_hardest": partial(torch_ref.TripletLoss, mining="hardest"),
    "triplet_semi": partial(torch_ref.TripletLoss, mining="semi"),
    "triplet_all": partial(torch_ref.TripletLoss, mining="all"),
    "lifted": torch_ref.LiftedLoss,
}


def oracle(name, convention="paper"):
    """What defines a loss in NumPy: loops of its own, or else its definition."""
    loops = ORIGINAL if convention == "original" else PAPER
    if name in loops:
        return loops[name]
    function, choices = variants()[name]
    define = loops.get(function) or partial(value_of, function)
    return partial(define, **choices)


def golden(case, loss, margin):
    """Value and gradient of one golden case."""
    key = f"{case}/{loss}/{margin}" if margin else f"{case}/{loss}"
    return GOLDEN[f"{key}/loss"], GOLDEN[f"{key}/grad"]


def torch_value_and_grad(module, embeddings, labels):
    """Value and gradient of a reference module."""
    x = torch.tensor(embeddings, requires_grad=True)
    value = module(x, torch.tensor(labels))
    value.backward()
    return value.item(), x.grad.numpy()


def exact_squared_distances(x, y=None):
    """`torch_ref.squared_distances`, with identical rows at exactly 0.

    Through the Gram matrix they come out at rounding noise, which differs from machine
    to machine, and whose square root is large enough to matter.
    """
    squared = torch_ref.squared_distances(x, y)
    y = x if y is None else y
    identical = (x.detach()[:, None, :] == y.detach()[None, :, :]).all(2)
    return squared.masked_fill(identical, 0)
