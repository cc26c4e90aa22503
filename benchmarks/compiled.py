"""Prints what the compiled programs of the losses cost: seconds and memory.

python benchmarks/compiled.py

The program is value and gradient of a loss, float32. Seconds are those of tracing,
lowering and XLA, after all caches were cleared; nothing runs. Temporaries are what the
program asks for beside its arguments and results: goals are 120 MiB at B = 16,384 and
1 GiB at 65,536. There LLVM, which comes after all arrays have their places, is hurried.
What misses its goal is bold, and too much memory ends the command with
exit code 1: seconds depend on the machine, bytes do not.
"""

import argparse
import sys
import time

import jax
import jax.numpy as jnp
from arguments import positive, run
from loss_steps import LOSSES, jml_jit, needed
from tables import machine, padded

from jml.app._parser import Parser

if __name__ == "__main__":  # programs of an earlier run would take no time
    jax.config.update("jax_enable_compilation_cache", False)

MEMORY = {16384: 120, 65536: 1024}  # MiB by batch size
SECONDS, SLOW = 2.0, {"lifted": 2.5, "triplet all": 2.5}


# On CPUs; the tests that measure memory hurry it likewise.
HURRY = {
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
}


def compile_one(name, size, options, *, hurry=False):
    """Seconds of compilation, and MiB of temporaries."""
    classes = -(-size // options.per_class)
    shapes = {"x": (size, options.dim), "second": (size, options.dim)}
    shapes |= {"labels": (size,), "proxies": (classes, options.dim)}
    arguments = [
        jax.ShapeDtypeStruct(
            shapes[field], jnp.int32 if field == "labels" else jnp.float32
        )
        for field in needed(name)
    ]
    jax.clear_caches()
    start = time.perf_counter()
    step, miner = jml_jit(name)
    hurry = HURRY if hurry and jax.default_backend() == "cpu" else None
    program = step.lower(*arguments, **miner).compile(compiler_options=hurry)
    seconds = time.perf_counter() - start
    return seconds, program.memory_analysis().temp_size_in_bytes / 2**20


def parse():
    """The options."""
    parser = Parser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add, several = parser.add_argument, {"nargs": "*", "type": positive}
    text = "of batches whose compilation is timed (256 1024)"
    add("--sizes", **several, default=[256, 1024], help=text)
    text = "of batches whose memory is measured (16384 65536)"
    add("--memory-sizes", **several, default=list(MEMORY), help=text)
    add("--dim", type=positive, default=128, help="numbers an embedding (128)")
    add("--per-class", type=positive, default=4, help="items a class (4)")
    add("--losses", nargs="+", default=LOSSES, choices=LOSSES, help="which (all)")
    return parser.parse_args()


def main():
    """Prints the table."""
    options = parse()
    print(machine(["jax"]))
    print(f"D = {options.dim}, {options.per_class} a class, float32\n")
    head = ["loss", *(f"{size:,}, s" for size in options.sizes)]
    head += [f"{size:,}, MiB" for size in options.memory_sizes]
    widths = [36, *(max(9, len(h)) for h in head[1:])]
    print(padded(head, widths))
    print(padded(["---"] * len(head), widths), flush=True)
    too_much, slow = [], []

    def cell(text, within, misses, what):
        misses += [] if within else [what]
        return text if within else f"**{text}**"

    for name in options.losses:
        cells = [name]
        for size in options.sizes:
            seconds, _ = compile_one(name, size, options)
            within = seconds <= SLOW.get(name, SECONDS)
            what = f"{name}, B = {size:,}"
            cells.append(cell(f"{seconds:.2f}", within, slow, what))
        for size in options.memory_sizes:
            _, mib = compile_one(name, size, options, hurry=True)
            within = mib < MEMORY.get(size, float("inf"))
            what = f"{name}, B = {size:,}"
            cells.append(cell(f"{mib:,.1f}", within, too_much, what))
        print(padded(cells, widths), flush=True)
    if slow:
        print(f"\nSlow to compile: {'; '.join(slow)}")
    if too_much:
        sys.exit(f"\nToo much memory: {'; '.join(too_much)}")


if __name__ == "__main__":
    run(__file__, main)
