"""Time and memory of each loss, forward and backward, JML beside its peers.

python benchmarks/losses.py --quick                # B = 512 alone, a few minutes
python benchmarks/losses.py --out results          # all sizes, hours on two cores
python benchmarks/losses.py --sizes 65536 --peers  # JML alone, in blocks

Before anything is timed, values and gradients are compared with those of torch_ref,
and with PML's where the definition is the same. Times are medians, taken in turns in
one process; "times" is how much faster JML is than the fastest peer. JML's memory is
what the compiled program asks for; a peer's is what a step adds to a process at its
peak, where freed memory goes back to the system at once, or to what CUDA allocated.
"""

import argparse
import itertools
import json
import math
import os
import platform
import sys
from pathlib import Path

from loss_plot import plot

# JAX and PyTorch share the card; this must be set before either is imported.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

TIMED = ("JML", "torch_ref", "torch_ref compiled", "PML", "PML compiled")
LARGEST_MATRIX = 16384  # that the products alone, which have no blocks, may hold
HEAD = ("B", "loss", "JML, ms", "torch_ref", "compiled", "PML", "compiled", "times")
HEAD += ("JML, MiB", "torch_ref", "PML", "compilation, s")


def row(result):
    """The cells of one line of the table."""
    seconds, peak = result.get("seconds", {}), result.get("bytes", {})
    cells = [f"{result['size']:,}", result["loss"]]
    cells += [_three(1e3 * seconds[n]) if n in seconds else "" for n in TIMED]
    peers = [s for name, s in seconds.items() if name != "JML"]
    cells.append(f"{min(peers) / seconds['JML']:.1f}" if peers else "")
    for name in ("JML", "torch_ref", "PML"):
        cells.append(f"{peak[name] / 2**20:,.1f}" if name in peak else "")
    return [*cells, f"{result.get('compile_s', math.nan):.2f}"]


def _three(number):
    """With three digits, or all before the point."""
    return f"{number:,.0f}" if number >= 100 else f"{number:#.3g}"


def line(cells):
    """One line of a table in Markdown."""
    widths = [7, 15, *(max(9, len(head)) for head in HEAD[2:])]
    padded = (f"{c:>{w}}" for c, w in zip(cells, widths, strict=True))
    return "| " + " | ".join(padded) + " |"


def machine(peers):
    """What the numbers are taken on."""
    from importlib.metadata import version

    import jax

    packages = ["jax", *(["torch", "pytorch-metric-learning"] if peers else [])]
    return {
        "device": jax.devices()[0].device_kind,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    } | {name: version(name) for name in packages}


def positive(text):
    """A positive whole number."""
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"must be a positive integer, got {text!r}")
    return int(text)


def parse():
    """The options."""
    from loss_steps import LOSSES, PEERS

    names, sizes = ["products alone", *LOSSES], [64 * 2**i for i in range(9)]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    several = {"nargs": "+", "type": positive}
    add = parser.add_argument
    add("--sizes", **several, default=sizes, help="of batches (64 to 16384)")
    add("--dims", **several, default=[128, 512], help="numbers an embedding (128 512)")
    add("--per-class", **several, default=[4, 64], help="items a class (4 64)")
    add("--losses", nargs="+", default=names, choices=names, help="which (all)")
    text = "which (all, for which torch and pytorch-metric-learning are needed); none"
    text += " after the flag: JML alone"
    add("--peers", nargs="*", default=list(PEERS), choices=PEERS, help=text)
    add("--dtype", default="float32", choices=["float32", "bfloat16"], help="(float32)")
    add("--seconds", type=float, default=0.3, help="of one turn, of three (0.3)")
    add("--limit", type=float, default=120, help="seconds of one peer (120)")
    add("--most-gib", type=float, default=12, help="memory of one peer (12)")
    text = "B = 512, D = 128, 4 a class, uncompiled peers"
    add("--quick", action="store_true", help=text)
    add("--out", type=Path, help="folder for JSON and a plot")
    options = parser.parse_args()
    if options.quick:
        options.sizes, options.dims, options.per_class = [512], [128], [4]
        options.peers = [peer for peer in options.peers if "compiled" not in peer]
    if options.out:
        try:
            options.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            parser.error(f"--out: {options.out} cannot be a folder: {error.strerror}")
    return options


def tables(options):
    """Prints a table for each width and class size; yields what was measured."""
    from loss_measure import measure

    for dim, per_class in itertools.product(options.dims, options.per_class):
        print(f"\nD = {dim}, {per_class} a class, {options.dtype}\n\n{line(HEAD)}")
        print(line(["---"] * len(HEAD)), flush=True)
        earlier, notes = {}, {}
        for size, name in itertools.product(sorted(set(options.sizes)), options.losses):
            if name == "products alone" and size > LARGEST_MATRIX:
                continue
            task = {"loss": name, "size": size, "dim": dim, "per_class": per_class}
            task |= {"dtype": options.dtype, "turn": options.seconds}
            task["peers"] = options.peers
            found = earlier[name] = measure(task, earlier.get(name), options)
            print(line(row(found)), flush=True)
            for which, why in found["left_out"].items():
                notes.setdefault((name, which, why), size)
            yield found
        for (name, which, why), size in notes.items():
            print(f"{name}, {which}, from B = {size:,}: {why}")


def main():
    """Prints tables, and writes them with JSON and a plot where asked."""
    options = parse()
    asked = {name: value for name, value in vars(options).items() if name != "out"}
    results = []
    written = {"machine": machine(options.peers), "options": asked, "results": results}
    print(written["machine"])
    for found in tables(options):
        results.append(found)
        if options.out:
            text = json.dumps([written], indent=1)
            (options.out / "losses.json").write_text(text)
    if options.out:
        plot(results, options.out / "losses.png")
    wrong = [
        f"{r['loss']}, B = {r['size']:,}, {peer}: {by}"
        for r in results
        for peer, by in r.get("differs", {}).items()
    ]
    if wrong:
        sys.exit("These differ from JML:\n" + "\n".join(wrong))


if __name__ == "__main__":
    main()
