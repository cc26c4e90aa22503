"""One forward and backward pass of each loss, by JML and by its peers.

The peers are `torch_ref`, which computes the same numbers, and what
pytorch-metric-learning (PML) has nearest to each loss. PML's triplets and lifted
structure are JML's with `convention="paper"`; docs/benchmarks.md says how the others
differ.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jml import losses
from jml._loss_specs import SPECS, variants
from jml.distances import gram

MARGIN = 0.5  # of all losses that have one; other hyperparameters are the defaults
PEERS = ("torch_ref", "torch_ref compiled", "PML", "PML compiled")
VARIANTS = variants(separator=" ")
LOSSES = tuple(VARIANTS)  # "triplet hardest"


def products_alone(x, labels, margin):
    """A Gram matrix and its gradient, two products, unblocked."""
    return margin * jnp.sum(gram(x) ** 2) / 2


def make_batch(size, dim, per_class):
    """Unit vectors about loose class centres, float32, and a proxy for each class."""
    rng = np.random.default_rng(0)
    labels = np.arange(size) // per_class
    centres = rng.normal(size=(labels.max() + 1, dim))
    # In wider spaces distances vary less: looser classes keep triplets active there.
    x = centres[labels] + (dim / 128) ** 0.25 * rng.normal(size=(size, dim))
    x = (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)
    proxies = rng.normal(size=(labels.max() + 1, dim)).astype(np.float32)
    return x, labels, proxies


def jml_step(name, batch, *, dtype="float32", **options):
    """A function that starts one run, and its compiled program."""
    x, labels, proxies = batch
    arguments = (jnp.asarray(x, dtype), jnp.asarray(labels))
    if name == "products alone":
        loss = partial(products_alone, margin=MARGIN)
    else:
        loss_name, choices = VARIANTS[name]
        spec = SPECS[loss_name]
        if spec.proxies is not None:
            arguments += (jnp.asarray(proxies, dtype),)
        if "margin" in spec.defaults():
            options["margin"] = MARGIN
        loss = partial(getattr(losses, f"{loss_name}_loss"), **choices, **options)
    wanted = (0, 2) if len(arguments) > 2 else 0
    step = jax.jit(jax.value_and_grad(loss, argnums=wanted)).lower(*arguments).compile()
    return partial(step, *arguments), step


def torch_step(peer, name, batch, device, dtype="float32"):
    """The same for one of `PEERS`; None where it has no such loss."""
    import torch

    x, labels, proxies = batch
    make = _torch_ref if peer.startswith("torch_ref") else _pml
    kind = {"device": device, "dtype": getattr(torch, dtype)}
    module = make(name, torch.tensor(proxies, **kind))
    if module is None:
        return None
    if peer.endswith("compiled"):
        module = torch.compile(module, dynamic=False)
    x = torch.tensor(x, **kind, requires_grad=True)
    labels = torch.tensor(labels, device=device)

    def step():
        x.grad = None
        if hasattr(module, "zero_grad"):
            module.zero_grad()
        value = module(x, labels)
        value.backward()
        if device != "cpu":
            torch.cuda.synchronize()
        return value.item(), x.grad

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
    if name.startswith("triplet "):
        return torch_ref.TripletLoss(MARGIN, name.split()[1])
    return None


def _pml(name, proxies):
    from pytorch_metric_learning import distances, miners, reducers
    from pytorch_metric_learning import losses as pml

    mean = reducers.MeanReducer()
    squared = distances.LpDistance(normalize_embeddings=False, power=2)
    triplets = pml.TripletMarginLoss(MARGIN, distance=squared, reducer=mean)
    if name == "contrastive":
        return pml.ContrastiveLoss(0, MARGIN, distance=squared, reducer=mean)
    if name == "triplet all":
        return triplets
    if name == "triplet hardest":
        return _mined(miners.BatchHardMiner(distance=squared), triplets)
    if name == "triplet semi":
        miner = miners.TripletMarginMiner(MARGIN, "semihard", distance=squared)
        return _mined(miner, triplets)
    if name == "lifted":
        euclidean = distances.LpDistance(normalize_embeddings=False)
        return pml.LiftedStructureLoss(MARGIN, 0, distance=euclidean, reducer=mean)
    if name == "proxy_nca":
        classes, dim = proxies.shape
        module = pml.ProxyNCALoss(classes, dim, softmax_scale=1).to(proxies.device)
        module.proxies.data = proxies
        return module
    if name == "multi_similarity":
        return pml.MultiSimilarityLoss(2, 50, 0.5)
    return None


def _mined(miner, loss):
    return lambda x, labels: loss(x, labels, miner(x, labels))


def differences(name, batch, steps):
    """How far the peers that agree by definition are from JML: a line for each."""
    paper = {"convention": "paper"} if name in ("triplet all", "lifted") else None
    paper = {} if name == "multi_similarity" else paper
    disagreements = {}
    for peer, options in zip(PEERS, ({}, {}, paper, paper), strict=True):
        if peer in steps and options is not None:
            value, gradient = jml_step(name, batch, **options)[0]()
            other, by_x = steps[peer]()
            by_x = by_x.cpu().numpy()
            gradient = gradient[0] if isinstance(gradient, tuple) else gradient
            in_value = abs(float(value) - other) / abs(other or 1)
            in_gradient = np.abs(gradient - by_x).max() / (np.abs(by_x).max() or 1)
            # In torch_ref's float32 an item is at a distance from itself that is noise,
            # whose root lifted structure takes: 2e-3, where float64 agrees to 4e-8.
            limit = 1e-2 if name == "lifted" else 1e-3
            if not (in_value < 1e-4 and in_gradient < limit):
                disagreements[peer] = (
                    f"value {in_value:.1e}, gradient {in_gradient:.1e}"
                )
    return disagreements
