"""Forward and backward time of each loss, JAX beside PyTorch, in one run.

python benchmarks/losses.py                         # B = 512, D = 128, 4 a class
python benchmarks/losses.py --sizes 4096 --jax-only # peak memory at B = 4,096

The ratio is of medians. Before timing, the values are compared. The first row is the
least that any of these losses over pairs can do: the Gram matrix, and its product with
the embeddings for the gradient.
"""

import argparse
import resource
import time

import jax
import jax.numpy as jnp
import numpy as np
from timing import median_seconds

from jml import losses
from jml.distances import gram

MARGIN = 0.5


def gram_loss(x, labels, margin):
    """Half the sum of the squared products of all pairs: two matrix products."""
    return margin * jnp.sum(gram(x) ** 2) / 2


CASES = {
    "products alone": (gram_loss, {}),
    "contrastive": (losses.contrastive_loss, {}),
    "triplet hardest": (losses.triplet_loss, {"mining": "hardest"}),
    "triplet semi": (losses.triplet_loss, {"mining": "semi"}),
    "triplet all": (losses.triplet_loss, {"mining": "all"}),
    "lifted": (losses.lifted_loss, {}),
    "proxy_nca": (losses.proxy_nca_loss, {}),
}


def jax_step(name, x, labels, proxies):
    """A function that runs forward and backward once and waits for the result."""
    loss, choices = CASES[name]
    if name == "proxy_nca":
        step = jax.jit(jax.value_and_grad(loss, argnums=(0, 2)))
        arguments = (x, labels, proxies)
    else:
        step = jax.jit(
            jax.value_and_grad(lambda x, y: loss(x, y, **choices, margin=MARGIN))
        )
        arguments = (x, labels)
    arguments = jax.device_put(arguments)
    return lambda: jax.block_until_ready(step(*arguments))


def torch_step(name, x, labels, proxies):
    """The same with `torch_ref`."""
    import torch

    import torch_ref

    if name == "proxy_nca":
        module = torch_ref.ProxyNCA(x.shape[1], len(proxies))
        module.proxies.data = torch.tensor(proxies)
    elif name.startswith("triplet"):
        module = torch_ref.TripletLoss(MARGIN, CASES[name][1]["mining"])
    elif name == "contrastive":
        module = torch_ref.ContrastiveLoss(MARGIN)
    elif name == "lifted":
        module = torch_ref.LiftedLoss(MARGIN)
    else:

        def module(x, labels):
            return MARGIN * ((x @ x.T) ** 2).sum() / 2

    x, labels = torch.tensor(x, requires_grad=True), torch.tensor(labels)

    def step():
        x.grad = None
        value = module(x, labels)
        value.backward()
        return value.item(), x.grad.numpy()

    return step


def make_batch(size, dim, per_class):
    """Unit vectors about loose class centres, float32."""
    rng = np.random.default_rng(0)
    labels = np.arange(size) // per_class
    x = rng.normal(size=(labels.max() + 1, dim))[labels] + rng.normal(size=(size, dim))
    x = (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)
    proxies = rng.normal(size=(labels.max() + 1, dim)).astype(np.float32)
    return x, labels, proxies


def main():
    """Prints one row for each size and loss."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[512])
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--per-class", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=1, help="of one turn, of 3")
    parser.add_argument("--losses", nargs="+", default=list(CASES), choices=CASES)
    parser.add_argument("--jax-only", action="store_true", help="skip PyTorch")
    options = parser.parse_args()
    print(
        f"jax {jax.__version__} on {jax.devices()[0].device_kind}, float32, "
        f"D = {options.dim}, {options.per_class} a class"
    )
    print(
        f"{'B':>6} {'loss':16} {'JAX ms':>9} {'torch ms':>9} {'ratio':>7} "
        f"{'compile s':>10} {'peak MiB':>9}"
    )
    for size in options.sizes:
        batch = make_batch(size, options.dim, options.per_class)
        for name in options.losses:
            step = jax_step(name, *batch)
            start = time.perf_counter()
            value, _ = step()
            compile_s = time.perf_counter() - start
            steps = [step] if options.jax_only else [step, torch_step(name, *batch)]
            if not options.jax_only:
                expected = steps[1]()[0]
                np.testing.assert_allclose(value, expected, rtol=1e-4, err_msg=name)
            seconds = [*median_seconds(steps, options.seconds), float("nan")][:2]
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(
                f"{size:6} {name:16} {seconds[0] * 1e3:9.2f} {seconds[1] * 1e3:9.2f} "
                f"{seconds[1] / seconds[0]:7.1f} {compile_s:10.2f} {peak:9.0f}"
            )


if __name__ == "__main__":
    main()
