"""Trains on glyphs with every loss and mining; prints Recall@1 and the seconds it took.

python benchmarks/glyphs.py

A run is the whole command, in a process of its own: imports, drawing the characters,
compilation, training and evaluation. Other flags are passed on to it.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from jml._loss_specs import variants

SCRIPT = Path(__file__).parents[1] / "train_jax.py"
CASES = {
    variant: [f"--loss={name}", *(f"--{k}={v}" for k, v in choices.items())]
    for variant, (name, choices) in variants(separator=", ").items()
}


def run(flags: list[str]) -> tuple[float, list[float]]:
    """Seconds of one run, and Recall@1 of raw pixels, untrained and trained network."""
    with tempfile.TemporaryDirectory() as folder:
        place = [f"--checkpoints_path={folder}", "--name=run"]
        start = time.perf_counter()
        subprocess.run([sys.executable, SCRIPT, *flags, *place], check=True)
        seconds = time.perf_counter() - start
        lines = (Path(folder) / "run" / "metrics.jsonl").read_text().splitlines()
    recalls = [r["recall@1"] for r in map(json.loads, lines) if "recall@1" in r]
    return seconds, [100 * recalls[i] for i in (0, 1, -1)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    _, flags = parser.parse_known_args()
    table = [
        "| loss | raw pixels | untrained | trained | seconds |",
        "| --- " * 5 + "|",
    ]
    for name, case in CASES.items():
        seconds, recalls = run([*case, *flags])
        cells = [name, *(f"{r:.1f}" for r in recalls), f"{seconds:.0f}"]
        table.append(f"| {' | '.join(cells)} |")
    print("\n".join(table))


if __name__ == "__main__":
    main()
