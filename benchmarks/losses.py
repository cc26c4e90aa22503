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


def machine():
    """What the numbers were taken on."""
    from importlib.metadata import version

    import jax

    packages = ("jax", "torch", "pytorch-metric-learning")
    return {
        "device": jax.devices()[0].device_kind,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    } | {name: version(name) for name in packages}


def main():
    """Prints tables, and writes them with JSON and a plot where asked."""
    from loss_measure import measure
    from loss_steps import LOSSES, PEERS

    names = ["products alone", *LOSSES]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    sizes = [64 * 2**i for i in range(9)]
    parser.add_argument("--sizes", type=int, nargs="+", default=sizes)
    parser.add_argument("--dims", type=int, nargs="+", default=[128, 512])
    parser.add_argument("--per-class", type=int, nargs="+", default=[4, 64])
    parser.add_argument("--losses", nargs="+", default=names, choices=names)
    parser.add_argument("--peers", nargs="*", default=PEERS, choices=PEERS)
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--seconds", type=float, default=0.3, help="of one turn, of 3")
    parser.add_argument("--limit", type=float, default=120, help="seconds of one peer")
    parser.add_argument("--most-gib", type=float, default=12, help="of one peer")
    parser.add_argument(
        "--quick", action="store_true", help="B = 512, uncompiled peers"
    )
    parser.add_argument("--out", type=Path, help="folder for JSON and a plot")
    options = parser.parse_args()
    if options.quick:
        options.sizes, options.dims, options.per_class = [512], [128], [4]
        options.peers = [peer for peer in options.peers if "compiled" not in peer]
    asked = {name: value for name, value in vars(options).items() if name != "out"}
    written = {"machine": machine(), "options": asked, "results": []}
    print(written["machine"])
    wrong = []
    for dim, per_class in itertools.product(options.dims, options.per_class):
        print(f"\nD = {dim}, {per_class} a class, {options.dtype}\n\n{line(HEAD)}")
        print(line(["---"] * len(HEAD)), flush=True)
        earlier, notes = {}, {}
        for size, name in itertools.product(sorted(options.sizes), options.losses):
            if name == "products alone" and size > LARGEST_MATRIX:
                continue
            task = {"loss": name, "size": size, "dim": dim, "per_class": per_class}
            task |= {"dtype": options.dtype, "turn": options.seconds}
            task["peers"] = list(options.peers)
            found = earlier[name] = measure(task, earlier.get(name), options)
            written["results"].append(found)
            print(line(row(found)), flush=True)
            why_not = found["left_out"] | (
                {"JML": found["why"]} if "why" in found else {}
            )
            for peer, why in why_not.items():
                notes.setdefault((name, peer, why), size)
            wrong += [
                f"{name}, B = {size:,}, {p}: {by}"
                for p, by in found.get("differs", {}).items()
            ]
            if options.out:
                options.out.mkdir(parents=True, exist_ok=True)
                text = json.dumps([written], indent=1)
                (options.out / "losses.json").write_text(text)
        for (name, peer, why), size in notes.items():
            print(f"{name}, {peer}, from B = {size:,}: {why}")
    if options.out:
        plot(written["results"], options.out / "losses.png")
    if wrong:
        sys.exit("These differ from JML:\n" + "\n".join(wrong))


if __name__ == "__main__":
    main()
