"""Times each loss, forward and backward, beside its counterpart in PyTorch.

python benchmarks/peers.py                      # two cores, 10 minutes
python benchmarks/peers.py --sizes 4096 --minutes 7 --not-compiled    # on a GPU

The counterpart is the loss of pytorch-metric-learning (PML) with the same defaults, or
plain PyTorch; counterparts.py has them. It runs as it is and under torch.compile. All
take turns, with pauses, and medians are compared; where the definitions agree, values
and gradients are compared before. Goals are those of counterparts.py; what misses its
goal is bold. Without PML, JML runs beside plain PyTorch alone; without PyTorch, alone.
"""

import argparse
import os
import sys
import time
from importlib.util import find_spec

from arguments import positive, positive_number, run
from tables import machine, padded, three_digits
from timing import TURNS

from jml.app._parser import Parser
from jml.errors import UserError

# JAX and PyTorch share the card; this must be set before either is imported.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

PACKAGES = {"torch": "torch", "pytorch-metric-learning": "pytorch_metric_learning"}
PEERS = ("PML", "PML compiled")  # as loss_steps names them, those of plain PyTorch, too
HEAD = ("B", "loss", "JML, ms", "peer", "compiled", "times", "goal", "compiled", "goal")
HEAD += ("compilation, s",)
WIDTHS = (6, 36, 9, 9, 9, 9, 5, 9, 5, 14)
SLOW = 0.5  # a step that takes longer than this, in seconds, is timed once
PAUSE = 0.25  # PyTorch's threads spin for 0.2 s after their last task
LAST = 180  # seconds that one loss may take at all sizes


def parse():
    """The options."""
    from loss_steps import LOSSES

    parser = Parser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add, several = parser.add_argument, {"nargs": "+", "type": positive}
    add("--sizes", **several, default=[256, 1024], help="of batches (256 1024)")
    add("--dim", type=positive, default=128, help="numbers an embedding (128)")
    add("--per-class", type=positive, default=4, help="items a class (4)")
    add("--losses", nargs="+", default=LOSSES, choices=LOSSES, help="which (all)")
    add("--not-compiled", action="store_true", help="peers as they are, alone")
    text = "of one turn, of three (0.1)"
    add("--seconds", type=positive_number, default=0.1, help=text)
    text = "after which no further loss is begun (10)"
    add("--minutes", type=positive_number, default=10, help=text)
    options = parser.parse_args()
    for size in options.sizes:
        if size % options.per_class:
            raise UserError(
                f"--sizes: {size} must be a multiple of --per-class "
                f"{options.per_class}."
            )
    return options


def in_order(losses):
    """Those with a peer first, then one of each other loss, then other choices."""
    from loss_steps import counterpart

    seen = set()

    def group(name):
        loss = name.split()[0]
        first = loss not in seen
        seen.add(loss)
        return 0 if counterpart(name) else 1 if first else 2

    groups = {name: group(name) for name in losses}
    return sorted(losses, key=groups.get)


def peers_of(name, size, options, installed):
    """The peers to run, and why there are no others."""
    from loss_steps import counterpart, too_large

    peer = counterpart(name)
    if peer is None:
        return [], "no counterpart"
    needed = ["torch"] if peer.plain else list(PACKAGES)
    for package in needed:
        if package not in installed:
            return [], f"{package} is not installed"
    if beyond := too_large(name, size):
        return [], f"PML {beyond}"
    return list(PEERS[: 1 if options.not_compiled else 2]), ""


def measure(name, options, installed):
    """The results of one loss, one a size."""
    from loss_measure import run_tasks

    tasks, notes = [], []
    for size in sorted(set(options.sizes)):
        peers, why = peers_of(name, size, options, installed)
        task = {"loss": name, "size": size, "dim": options.dim, "peers": peers}
        task |= {"per_class": options.per_class, "dtype": "float32"}
        task |= {"turn": options.seconds, "runs": TURNS, "slow": SLOW}
        task |= {"pause": PAUSE, "wanted": "seconds"}
        tasks.append(task)
        notes.append([why] if why else [])
    results = run_tasks(tasks, LAST)
    for task, result, note in zip(tasks, results, notes, strict=True):
        note += [result["why"]] if "why" in result else []
        note += [f"{peer}: {why}" for peer, why in result.get("failed", {}).items()]
        yield task | {"notes": note} | result


def row(result):
    """The cells of one line of the table, and whether all goals are met."""
    from loss_steps import counterpart

    seconds, peer = result.get("seconds", {}), counterpart(result["loss"])
    times = [1e3 * seconds[n] if n in seconds else None for n in ("JML", *PEERS)]
    cells = [f"{result['size']:,}", result["loss"]]
    cells += ["" if t is None else three_digits(t) for t in times]
    goals = (None, None) if peer is None else (peer.goal_at(result["size"]),)
    if peer is not None:
        goals += (peer.compiled_goal,)
    met = True
    for taken, goal in zip(times[1:], goals, strict=True):
        if taken is None:
            cells += ["", ""]
            continue
        ratio = taken / times[0]
        missed = goal is not None and ratio < goal
        met = met and not missed
        cells.append(f"**{ratio:.1f}**" if missed else f"{ratio:,.1f}")
        cells.append("" if goal is None else f"{goal:g}")
    compilation = result.get("compile_s")
    cells.append("" if compilation is None else f"{compilation:.2f}")
    return cells, met


def main():
    """Prints the table, and what it lacks."""
    options = parse()
    end = time.monotonic() + 60 * options.minutes
    installed = [name for name, module in PACKAGES.items() if find_spec(module)]
    print(machine(["jax", *installed]))
    print(f"D = {options.dim}, {options.per_class} a class, float32\n")
    print(padded(HEAD, WIDTHS))
    print(padded(["---"] * len(HEAD), WIDTHS), flush=True)
    notes, missed, wrong = {}, [], []
    for name in in_order(options.losses):
        if time.monotonic() > end:
            notes.setdefault(f"no time after {options.minutes:g} minutes", []).append(
                name
            )
            continue
        for result in measure(name, options, installed):
            cells, met = row(result)
            print(padded(cells, WIDTHS), flush=True)
            where = f"{name}, B = {result['size']:,}"
            missed += [] if met else [where]
            for note in result["notes"]:
                notes.setdefault(note, []).append(where)
            by_peer = result.get("differs", {}).items()
            wrong += [f"{where}, {peer}: {by}" for peer, by in by_peer]
    for note, names in notes.items():
        print(f"\n{note}: {'; '.join(names)}")
    if missed:
        print(f"\nMissed: {'; '.join(missed)}")
    if wrong:
        sys.exit("\nThese differ from JML:\n" + "\n".join(wrong))


if __name__ == "__main__":
    run(__file__, main)
