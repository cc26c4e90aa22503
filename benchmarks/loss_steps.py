"""One forward and backward pass of each loss, by JML and by its peers.

The peers are `torch_ref`, which computes the same numbers, and what `counterparts` has:
pytorch-metric-learning (PML) or plain PyTorch. docs/benchmarks.md says how they differ.
"""

import inspect
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from counterparts import COUNTERPARTS, MARGIN

from jml import losses
from jml._loss_specs import variants
from jml.distances import gram

PEERS = ("torch_ref", "torch_ref compiled", "PML", "PML compiled")
VARIANTS = variants(separator=" ")
MINED = tuple(name for name in COUNTERPARTS if COUNTERPARTS[name].miner)
LOSSES = (  # "triplet hardest"; "multi_similarity + multi_similarity", a loss + a miner
    *VARIANTS,
    *(name for name in MINED if name.partition(" + ")[0] in VARIANTS),
)


class Inputs(NamedTuple):
    """A batch, and what some losses need beside it."""

    x: np.ndarray
    labels: np.ndarray
    proxies: np.ndarray  # one a class
    second: np.ndarray  # the other view of each item


# Which of them a positional argument of a loss is.
ARGUMENTS = {
    "embeddings": "x",
    "labels": "labels",
    "proxies": "proxies",
    "weights": "proxies",
    "queries": "x",
    "references": "second",
    "x": "x",
    "y": "second",
}


def products_alone(x, labels, margin):
    """A Gram matrix and its gradient, two products, unblocked."""
    return margin * jnp.sum(gram(x) ** 2) / 2


def make_batch(size, dim, per_class):
    """Unit vectors about loose class centres, float32, and what goes with them."""
    rng = np.random.default_rng(0)
    labels = np.arange(size) // per_class
    centres = rng.normal(size=(labels.max() + 1, dim))

    # In wider spaces distances vary less: looser classes keep triplets active there.
    def items():
        x = centres[labels] + (dim / 128) ** 0.25 * rng.normal(size=(size, dim))
        return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)

    x = items()
    proxies = rng.normal(size=(labels.max() + 1, dim)).astype(np.float32)
    return Inputs(x, labels, proxies, items())


def counterpart(name):
    """The peer of one of `LOSSES`, or None.

    A loss with choices has that of its words, or, with the default choices, its own.
    """
    if name in COUNTERPARTS or name not in VARIANTS:
        return COUNTERPARTS.get(name)
    loss, choices = VARIANTS[name]
    defaults = inspect.signature(function_of(loss)).parameters
    default = all(defaults[choice].default == w for choice, w in choices.items())
    return COUNTERPARTS.get(loss) if default else None


def too_large(name, size):
    """Why PML's loss is not to be tried with this batch, or ""."""
    peer = counterpart(name)
    if peer is None or peer.largest is None or size <= peer.largest:
        return ""
    return f"takes too much beyond B = {peer.largest:,}"


def function_of(loss):
    return getattr(losses, f"{loss}_loss")


def needed(name):
    """The fields of `Inputs` that one of `LOSSES` takes by position."""
    if name == "products alone":
        return ["x", "labels"]
    parameters = inspect.signature(function_of(_loss(name)[0])).parameters.values()
    names = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    if "queries" in names:  # labels are optional there
        names.remove("labels") if "labels" in names else None
    return [ARGUMENTS[name] for name in names]


def _loss(name):
    """The function's name and static options."""
    loss, choices = VARIANTS[name.partition(" + ")[0]]
    peer = counterpart(name)
    return loss, {**choices, **(peer.options if peer else {})}


def jml_jit(name, **options):
    """Value and gradients of a loss under `jit`, and its miner by keyword."""
    fields = needed(name)
    if name == "products alone":
        loss, miner = partial(products_alone, margin=MARGIN), {}
    else:
        loss, fixed = _loss(name)
        loss, miner = partial(function_of(loss), **{**fixed, **options}), {}
        peer = counterpart(name)
        if peer is not None and peer.miner is not None:
            from jml import miners

            miner = {"miner": jax.tree_util.Partial(peer.miner(miners))}
    wanted = tuple(i for i, field in enumerate(fields) if field != "labels")
    return jax.jit(jax.value_and_grad(loss, argnums=wanted)), miner


def jml_step(name, batch, *, dtype="float32", **options):
    """A function that starts one run, and its compiled program."""
    arguments = [
        jnp.asarray(value, None if field == "labels" else dtype)
        for field in needed(name)
        for value in [getattr(batch, field)]
    ]
    step, miner = jml_jit(name, **options)
    step = step.lower(*arguments, **miner).compile()
    return partial(step, *arguments, **miner), step


def torch_step(peer, name, batch, device, dtype="float32"):
    """The same for one of `PEERS`; None where it has no such loss."""
    import torch

    kind = {"device": device, "dtype": getattr(torch, dtype)}
    make = _torch_ref if peer.startswith("torch_ref") else _peer
    module = make(name, torch.tensor(batch.proxies, **kind))
    if module is None:
        return None
    if peer.endswith("compiled"):
        module = torch.compile(module, dynamic=False)
    arguments = [torch.tensor(batch.x, **kind, requires_grad=True)]
    if "second" in needed(name):
        arguments += [torch.tensor(batch.second, **kind, requires_grad=True)]
    else:
        arguments += [torch.tensor(batch.labels, device=device)]

    def step():
        for argument in arguments:
            argument.grad = None
        if hasattr(module, "zero_grad"):
            module.zero_grad()
        value = module(*arguments)
        value.backward()
        if device != "cpu":
            torch.cuda.synchronize()
        return value.item(), arguments[0].grad

    return step


def _torch_ref(name, proxies):
    import torch_ref

    if name == "proxy_nca":
        module = torch_ref.ProxyNCA(proxies.shape[1], len(proxies))
        module.proxies.data = proxies
        return module
    if name == "contrastive":
        return torch_ref.ContrastiveLoss(MARGIN)
    if name == "lifted":
        return torch_ref.LiftedLoss(MARGIN)
    if name in ("triplet hardest", "triplet semi", "triplet all"):
        return torch_ref.TripletLoss(MARGIN, name.split()[1])
    return None


def _peer(name, proxies):
    peer = counterpart(name)
    if peer is None:
        return None
    if peer.plain:
        return peer.make(None, proxies)
    import pytorch_metric_learning as pml
    import pytorch_metric_learning.distances
    import pytorch_metric_learning.losses
    import pytorch_metric_learning.miners
    import pytorch_metric_learning.reducers

    return peer.make(pml, proxies)


def differences(name, batch, steps):
    """How far the peers that agree by definition are from JML: a line for each."""
    peer = counterpart(name)
    same = None if peer is None else peer.same
    limits = {"torch_ref": 1e-3, "PML": 1e-3}
    if name == "lifted":
        # In torch_ref's float32 an item is at a distance from itself that is noise,
        # whose root lifted structure takes: 2e-3, where float64 agrees to 4e-8.
        limits = dict.fromkeys(limits, 1e-2)
    if peer is not None and not peer.same_gradient:
        limits["PML"] = np.inf
    disagreements = {}
    for base, options in (("torch_ref", {}), ("PML", same)):
        others = [p for p in steps if p != "JML" and p.split()[0] == base]
        if not others or options is None:
            continue
        # A step is compiled anew only where the loss that is timed is another.
        step = jml_step(name, batch, **options)[0] if options else steps["JML"]
        value, (gradient, *_) = step()
        for other in others:
            expected, by_x = steps[other]()
            by_x = by_x.cpu().numpy()
            # PML adds small terms to 1, which leaves noise of 1e-7 in a loss near 0.
            in_value = abs(float(value) - expected) / max(abs(expected), 1e-2)
            in_gradient = np.abs(gradient - by_x).max() / (np.abs(by_x).max() or 1)
            if not (in_value < 1e-4 and in_gradient < limits[base]):
                disagreements[other] = (
                    f"value {in_value:.1e}, gradient {in_gradient:.1e}"
                )
    return disagreements
