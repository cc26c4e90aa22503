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

import itertools
import json
import math
import os
import sys
from functools import partial
from operator import methodcaller

from arguments import run
from loss_options import packages, parse
from loss_plot import plot
from tables import machine, padded, three_digits

from jml.errors import UserError

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
    cells += [three_digits(1e3 * seconds[n]) if n in seconds else "" for n in TIMED]
    peers = [s for name, s in seconds.items() if name != "JML"]
    cells.append(f"{min(peers) / seconds['JML']:.1f}" if peers else "")
    for name in ("JML", "torch_ref", "PML"):
        cells.append(f"{peak[name] / 2**20:,.1f}" if name in peak else "")
    return [*cells, f"{result.get('compile_s', math.nan):.2f}"]


def line(cells):
    """One line of a table in Markdown."""
    return padded(cells, [7, 15, *(max(9, len(head)) for head in HEAD[2:])])


def save(path, write):
    """Replaces a file of this run's by a newer one, whole at any moment."""
    from jml._whole_files import replace

    try:
        replace(path, write)
    except OSError as error:
        raise UserError(
            f"--out: cannot write {path}: {error.strerror}; free or choose another "
            "place."
        ) from None


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
            if size == per_class:
                notes[name, "all", "a single class has no negatives"] = size
                continue
            task = {"loss": name, "size": size, "dim": dim, "per_class": per_class}
            task |= {"dtype": options.dtype, "turn": options.seconds}
            task["peers"] = options.peers
            result = earlier[name] = measure(task, earlier.get(name), options)
            print(line(row(result)), flush=True)
            for which, why in result["left_out"].items():
                notes.setdefault((name, which, why), size)
            yield result
        for (name, which, why), size in notes.items():
            print(f"{name}, {which}, from B = {size:,}: {why}")


def main():
    """Prints tables, and writes them with JSON and a plot where asked."""
    options = parse(__doc__)
    asked = {name: value for name, value in vars(options).items() if name != "out"}
    results = []
    on = machine(packages(options.peers))
    text = {"machine": on, "options": asked, "results": results}
    print(on)
    try:
        for result in tables(options):
            results.append(result)
            if options.out:
                write = methodcaller("write_text", json.dumps([text], indent=1))
                save(options.out / "losses.json", write)
    finally:  # what was measured before Ctrl-C counts
        if options.out and results:
            save(options.out / "losses.png", partial(plot, results))
            print(f"written: {options.out}/losses.json, losses.png")
    wrong = [
        f"{r['loss']}, B = {r['size']:,}, {peer}: {by}"
        for r in results
        for peer, by in r.get("differs", {}).items()
    ]
    if wrong:
        sys.exit("These differ from JML:\n" + "\n".join(wrong))


if __name__ == "__main__":
    run(__file__, main)
