"""Times losses of class weights beside PML, and prints what their programs hold.

python benchmarks/class_weights.py
python benchmarks/class_weights.py --classes 1000 --batch 64

Times are of value and gradient by embeddings and weights, float32: medians of turns.
Where both agree is compared first. Memory is that of the compiled program beside the
weights and their gradient, at a million classes and at a number without a divisor;
nothing runs for it. What misses its goal is bold.
"""

import argparse

import jax
import jax.numpy as jnp
import numpy as np
from arguments import positive, positive_number, run
from tables import machine, padded, three_digits
from timing import median_seconds

from jml import losses
from jml.app._parser import Parser

GOALS = {("arcface", 100_000): 2.0}  # times as fast as PML; 1.5 for others
MANY, MIB = (1_000_000, 999_983), 64
DEGREES = 28.6  # PML's margin of ArcFace


# By loss: the class of PML, and how JML's loss is called to equal it.
SAME_MARGIN = {"margin": np.radians(DEGREES)}
PEERS = {
    "arcface": ("ArcFaceLoss", SAME_MARGIN),
    "sub-centers": ("SubCenterArcFaceLoss", SAME_MARGIN),
    "cosface": ("CosFaceLoss", {}),
    "normalized_softmax": ("NormalizedSoftmaxLoss", {}),
    "soft_triple": ("SoftTripleLoss", {"regularization": 0.0}),
    "proxy_nca": ("ProxyNCALoss", {"own_in_denominator": True}),
    "proxy_anchor": ("ProxyAnchorLoss", {}),
}
CENTERS = {"sub-centers": ("sub_centers", 3), "soft_triple": ("centers_per_class", 3)}
ALONE = ("adaface", "magface", "elasticface")  # that PML lacks


def function_of(name):
    """The loss of JML."""
    return getattr(losses, f"{name.replace('sub-centers', 'arcface')}_loss")


def of_pml(name, weights):
    """The loss of PML with these weights."""
    from pytorch_metric_learning import losses as pml
    from torch import tensor

    sizes = {"num_classes": len(weights), "embedding_size": weights.shape[-1]}
    sizes |= dict([CENTERS[name]] if name in CENTERS else [])
    module = getattr(pml, PEERS[name][0])(**sizes)
    if hasattr(module, "proxies"):
        module.proxies.data = tensor(weights)
    else:
        inside = "fc" if hasattr(module, "fc") else "W"
        columns = weights.reshape(-1, weights.shape[-1]).T.copy()
        getattr(module, inside).data = tensor(columns)
    return module


def shape_of(name, classes, dim):
    """Of the weights: several centers a class, or one."""
    return (classes, CENTERS[name][1], dim) if name in CENTERS else (classes, dim)


def steps(name, classes, options):
    """JML's step and PML's, each of which returns its value."""
    import torch

    rng = np.random.default_rng(0)
    x = rng.normal(size=(options.batch, options.dim)).astype(np.float32)
    shape = shape_of(name, classes, options.dim)
    weights = rng.normal(size=shape).astype(np.float32)
    labels = rng.integers(0, classes, options.batch)
    module, words = of_pml(name, weights), PEERS[name][1]
    function = jax.jit(
        jax.value_and_grad(
            lambda x, w: function_of(name)(x, labels, w, **words), argnums=(0, 1)
        )
    )
    placed = jnp.asarray(x), jnp.asarray(weights)
    y = torch.tensor(labels)

    def jml_step():
        return float(jax.block_until_ready(function(*placed))[0])

    def pml_step():
        at = torch.tensor(x, requires_grad=True)
        module.zero_grad()
        value = module(at, y)
        value.backward()
        return float(value.detach())

    return jml_step, pml_step


def temporaries(name, classes, options):
    """MiB beside the weights and their gradient."""
    shape = shape_of(name, classes, options.dim)
    floats = jnp.float32
    given = jax.ShapeDtypeStruct((options.batch, options.dim), floats)
    given = given, jax.ShapeDtypeStruct(shape, floats)
    labels = jax.ShapeDtypeStruct((options.batch,), jnp.int32)
    loss = lambda x, w, labels: function_of(name)(x, labels, w)  # noqa: E731
    step = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))
    program = step.lower(*given, labels).compile()
    return program.memory_analysis().temp_size_in_bytes / 2**20


def parse():
    """The options."""
    parser = Parser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add, several = parser.add_argument, {"nargs": "+", "type": positive}
    sizes = [1_000, 10_000, 100_000]
    add("--classes", **several, default=sizes, help="(1000 10000 100000)")
    add("--batch", type=positive, default=256, help="items (256)")
    add("--dim", type=positive, default=128, help="numbers an embedding (128)")
    add("--seconds", type=positive_number, default=1.0, help="of a turn, of three (1)")
    return parser.parse_args()


def main():
    options = parse()
    print(machine(("torch", "pytorch-metric-learning")))
    print(f"B = {options.batch}, D = {options.dim}, float32\n")
    widths = (20, 9, 9, 9, 7, 5)
    print(padded(("loss", "C", "JML, ms", "PML, ms", "times", "goal"), widths))
    print(padded(["---"] * 6, widths))
    for name in PEERS:
        for classes in options.classes:
            ours, theirs = steps(name, classes, options)
            a, b = ours(), theirs()
            if abs(a - b) > 1e-3 * abs(b) and name != "normalized_softmax":
                raise SystemExit(f"{name}, C = {classes}: JML has {a}, PML {b}")
            jml, pml = median_seconds([ours, theirs], options.seconds)
            goal = GOALS.get((name, classes), 1.5)
            times = f"{pml / jml:.1f}"
            times = times if pml >= goal * jml else f"**{times}**"
            cells = three_digits(1e3 * jml), three_digits(1e3 * pml), times
            cells = name, f"{classes:,}", *cells, f"{goal:g}"
            print(padded(cells, widths), flush=True)
    print(f"\nTemporaries, MiB; the goal is {MIB}\n")
    widths = 20, *([11] * len(MANY))
    print(padded(("loss", *(f"C = {n:,}" for n in MANY)), widths))
    print(padded(["---"] * len(widths), widths))
    for name in (*PEERS, *ALONE):
        held = [temporaries(name, classes, options) for classes in MANY]
        cells = [f"{m:.1f}" if m <= MIB else f"**{m:.1f}**" for m in held]
        print(padded((name, *cells), widths), flush=True)


if __name__ == "__main__":
    run(__file__, main)
