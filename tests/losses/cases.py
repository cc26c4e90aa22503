"""The losses under test, each beside its PyTorch reference."""

from functools import partial
from pathlib import Path

import jax
import numpy as np
import torch

import torch_ref
from jml import losses

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "seed_losses.npz")
GOLDEN_CASES = sorted({key.split("/")[0] for key in GOLDEN})
MARGINS = ("0.1", "0.5", "1.0")

PAIR_LOSSES = {
    "contrastive": losses.contrastive_loss,
    "triplet_hardest": partial(losses.triplet_loss, mining="hardest"),
    "triplet_semi": partial(losses.triplet_loss, mining="semi"),
    "triplet_all": partial(losses.triplet_loss, mining="all"),
    "lifted": losses.lifted_loss,
}
REFERENCES = {
    "contrastive": torch_ref.ContrastiveLoss,
    "triplet_hardest": partial(torch_ref.TripletLoss, mining="hardest"),
    "triplet_semi": partial(torch_ref.TripletLoss, mining="semi"),
    "triplet_all": partial(torch_ref.TripletLoss, mining="all"),
    "lifted": torch_ref.LiftedLoss,
}


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


@partial(jax.jit, static_argnames=("name", "convention", "block_size"))
def value_and_grad(name, x, labels, margin, **options):
    """Value and gradient of one of `PAIR_LOSSES`, compiled once for each shape."""
    loss = partial(PAIR_LOSSES[name], margin=margin, **options)
    return jax.value_and_grad(loss)(x, labels)


def exact_squared_distances(x, y=None):
    """`torch_ref.squared_distances`, with identical rows at exactly 0.

    Through the Gram matrix they come out at rounding noise, which differs from machine
    to machine, and whose square root is large enough to matter.
    """
    squared = torch_ref.squared_distances(x, y)
    y = x if y is None else y
    identical = (x.detach()[:, None, :] == y.detach()[None, :, :]).all(2)
    return squared.masked_fill(identical, 0)
