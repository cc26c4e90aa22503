"""What the losses are made of, each part alone, beside what the machine can do.

python benchmarks/loss_parts.py --sizes 256 512 1024

The first lines are the machine's: a large matrix product, a copy of 256 MiB, and the
products of a loss, whose rate falls for small batches. Parts run one after the other
in a loss, but XLA may fuse across them: their sum is not the loss's time.
"""

from functools import partial

import jax
import jax.numpy as jnp
from arguments import positive, run
from counterparts import MARGIN
from loss_steps import LOSSES, jml_step, make_batch
from timing import median_seconds

from jml.app._parser import Parser
from jml.distances import inner_products, squared_distances
from jml.losses._lifted._sums import log_sums, repel_terms
from jml.losses._lifted._sums import pair_terms as lifted_pair_terms
from jml.losses._triplet import _all
from jml.losses._triplet._formula import Options, no_triplets
from jml.losses._triplet._hardest import hardest_terms, nearest_negatives
from jml.losses._triplet._loop import find_positives, loop_over_positives
from jml.losses._triplet._sorted import sorted_gradients
from jml.pairwise import (
    Plan,
    make_pairs,
    make_rows,
    map_rows,
    sum_pairs,
    sum_positives,
)

PLAN = Plan()
ORIGINAL = Options(*5 * [False])


def seconds(step, *arguments):
    """Median seconds of a compiled function."""
    # Runs stand in a GPU's queue, so that it never waits for Python.
    runs = 20 if jax.default_backend() == "gpu" else 1

    def run():
        jax.block_until_ready([step(*arguments) for _ in range(runs)])

    return median_seconds([run], 0.3)[0] / runs


def machine():
    """Prints the rates of a product and of a copy."""
    x = jnp.ones((2048, 2048))
    rate = 2 * 2048**3 / seconds(jax.jit(inner_products), x, x)
    print(f"product of 2048 x 2048 x 2048: {rate / 1e9:.0f} Gflop/s")
    long = jnp.ones(2**26)
    rate = 2 * 4 * long.size / seconds(jax.jit(lambda a: -a), long)
    print(f"copy of 256 MiB: {rate / 1e9:.1f} GB/s, read and written")
    return rate


def parts(size, dim, per_class):
    """Each part of the losses of one batch: its name, a function and arguments."""
    x, labels, *_ = map(jnp.asarray, make_batch(size, dim, per_class))
    margin = jnp.asarray(MARGIN)

    def pairs(x):
        return make_pairs(x, labels, jnp.ones(size, bool))

    yield "one product", inner_products, (x, x)
    yield "distances", squared_distances, (x, x)
    yield from hardest_parts(x, pairs, margin)
    yield from all_parts(x, pairs, margin)
    yield from lifted_parts(x, pairs, margin)


def positives(x, pairs, terms, **hyperparameters):
    """The sum of these terms over positive pairs."""
    return sum_positives(terms, pairs(x), hyperparameters, PLAN)


def hardest_parts(x, pairs, margin):
    hardest = partial(hardest_terms, options=ORIGINAL)
    yield (
        "hardest: nearest negatives",
        lambda x: map_rows(nearest_negatives, *pairs(x)[:2], PLAN),
        (x,),
    )
    yield (
        "hardest: positives",
        lambda x, h: positives(x, pairs, hardest, margin=margin, nearest=h),
        (x, jnp.ones(len(x))),
    )


def all_parts(x, pairs, margin):
    rows = make_rows(pairs(x).anchors, pairs(x).references)
    positive = rows.positive_or_self

    def loop(rows, margin):
        add = partial(_all.add_all, rows, margin, ORIGINAL)
        start = no_triplets(rows, jnp.zeros(len(x)))
        found = find_positives(pairs(x))(rows)
        return loop_over_positives(rows, positive, found, add, start)

    yield "all: pair gradients in a loop over positives", loop, (rows, margin)
    yield (
        "all: pair gradients from sorted rows",
        sorted_gradients,
        (rows.squared, positive, rows.negative, margin),
    )


def lifted_parts(x, pairs, margin):
    def repel(x, log_sums):
        terms = partial(repel_terms, log_sums, log_sums, 0)
        return sum_pairs(terms, pairs(x), {"margin": margin}, PLAN).by_anchors

    attract = partial(lifted_pair_terms, paper=False)
    one = jnp.ones(len(x))
    yield (
        "lifted: log-sums of negatives",
        lambda x: log_sums(pairs(x), margin, PLAN),
        (x,),
    )
    yield (
        "lifted: positives",
        lambda x, e: positives(x, pairs, attract, repulsion=e),
        (x, one),
    )
    yield "lifted: gradient of the log-sums", repel, (x, one)


def main():
    """Prints a line for each part and loss."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=positive, nargs="+", default=[256, 512, 1024])
    parser.add_argument("--dim", type=positive, default=128)
    parser.add_argument("--per-class", type=positive, default=4)
    options = parser.parse_args()
    rate = machine()
    for size in options.sizes:
        print(f"\nB = {size}, D = {options.dim}, {options.per_class} a class")
        print(f"{1e3 * 4 * size**2 / rate:9.3f} ms  one pass over the matrix")
        for name, function, arguments in parts(size, options.dim, options.per_class):
            taken = seconds(jax.jit(function), *arguments)
            print(f"{1e3 * taken:9.3f} ms  {name}", flush=True)
        batch = make_batch(size, options.dim, options.per_class)
        for name in ("products alone", *LOSSES):
            taken = seconds(jml_step(name, batch)[0])
            print(f"{1e3 * taken:9.3f} ms  whole: {name}", flush=True)


if __name__ == "__main__":
    run(__file__, main)
