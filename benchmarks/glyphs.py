"""Trains on glyphs with every loss; prints Recall@1 on characters that are new.

python benchmarks/glyphs.py                                  # a minute or so a loss
python benchmarks/glyphs.py --losses triplet --words         # with each mining
python benchmarks/glyphs.py --losses circle --maxiter 300

A run is the whole command with all defaults, in a process of its own: imports, reading
the characters or drawing them, compilation, training and evaluation, but not the
report. The table of losses says which there are. A loss is to gain 15 points on the
untrained network: what misses that is bold. Other flags are passed on to the command.
"""

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from pathlib import Path

from arguments import run

from jml._loss_specs import SPECS, variants
from jml.app._parser import Parser

GOAL = 15  # points of Recall@1 above the untrained network's
PLACES = ("raw pixels", "untrained", "trained")


def cases(losses, words):
    """The command's flags by loss: with its defaults, or once for each word."""
    if not words:
        return {name: [f"--loss={name}"] for name in losses}
    return {
        variant: [
            f"--loss={name}",
            *(f"--{option}={word}" for option, word in choices.items()),
        ]
        for variant, (name, choices) in variants(separator=", ").items()
        if name in losses
    }


def train(flags):
    """The command without its report, which takes longer than half of the training."""
    from jml.app import _train
    from jml.app._train_command import main

    _train.report_run = lambda *_, **__: None
    sys.exit(main(flags))


def measure(flags):
    """Recall@1 of raw pixels, the untrained and the trained network, and seconds.

    None stands for what a failed run did not measure.
    """
    with tempfile.TemporaryDirectory() as folder:
        place = [f"--checkpoints_path={folder}", "--name=run"]
        start = time.perf_counter()
        # Started anew: a fork would share what JAX has begun.
        one = multiprocessing.get_context("spawn").Process(
            target=train, args=([*place, "--eval_interval=600", *flags],)
        )
        one.start()
        one.join()
        seconds = time.perf_counter() - start
        path = Path(folder) / "run" / "metrics.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
    found = [r["recall@1"] for r in map(json.loads, lines) if "recall@1" in r]
    recalls = [100 * recall for recall in (*found[:2], *found[2:][-1:])]
    if one.exitcode:
        recalls = recalls[:2]
    return recalls + [None] * (3 - len(recalls)), seconds


def row(name, recalls, seconds):
    """The cells of one line of the table."""
    cells = ["" if recall is None else f"{recall:.1f}" for recall in recalls]
    _, untrained, trained = recalls
    if trained is None:
        cells[2] = "**failed**"
    elif trained < untrained + GOAL:
        cells[2] = f"**{cells[2]}**"
    return f"| {' | '.join([name, *cells, f'{seconds:.0f}'])} |"


def main():
    """Prints a line for each loss as it is done."""
    parser = Parser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--losses", nargs="+", default=SPECS, choices=SPECS, help="which (all)")
    add("--words", action="store_true", help="each word of a loss's choices, apart")
    options, flags = parser.parse_known_args()
    table = [f"| loss | {' | '.join(PLACES)} | seconds |", "| --- " * 5 + "|"]
    for name, case in cases(options.losses, options.words).items():
        table.append(row(name, *measure([*case, *flags])))
        print(table[-1], flush=True)
    print("\n" + "\n".join(table))


if __name__ == "__main__":
    run(__file__, main)
