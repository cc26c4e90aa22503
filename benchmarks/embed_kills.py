"""Kills ``jml embed`` with SIGKILL, and compares what it has written in the end.

    python benchmarks/embed_kills.py                # twenty kills
    python benchmarks/embed_kills.py --kills 3 --shards 2

Each process is killed at a random moment: while it starts, while a part is written, or
soon after a part has appeared. The next goes on. The embeddings have to equal those of
a command that nobody disturbed, bit for bit, and no file may be left beside them.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from arguments import positive
from embedding import write_photographs, write_run

from jml.inference import read_embeddings

PART = 64  # images of a part
PARTS_A_KILL = 6  # parts for each kill, so that there is work left for the last


def command(out: str, *more: str) -> list[str]:
    """The words of one ``jml embed``."""
    words = ["embed", "run", "pictures", "--out", out, f"--part_size={PART}", *more]
    return [sys.executable, "-m", "jml", *words]


def start(place: Path, words: list[str]) -> subprocess.Popen:
    """Starts a command that keeps its programs in the folder."""
    root = str(Path(__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": root, "XDG_CACHE_HOME": str(place)}
    return subprocess.Popen(
        words,
        cwd=place,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def parts_in(place: Path, out: str) -> int:
    """How many whole parts there are."""
    folder = place / out
    folder = folder if folder.is_dir() else place / f"{out}.parts"
    return len(list(folder.glob("shard-*.parquet")))


def run_and_kill(place: Path, out: str, words: list[str], rng: random.Random) -> bool:
    """Runs a command, and kills it; whether it was killed before its end."""
    process, before = start(place, words), parts_in(place, out)
    wanted = before + rng.choice((0, 1, 1, 2, 3))
    while process.poll() is None:
        if parts_in(place, out) >= wanted:
            break
        time.sleep(0.001)
    time.sleep(rng.uniform(0, 3 if wanted == before else 0.1))
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def main() -> None:
    """Kills the command, and compares."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=positive, default=20)
    parser.add_argument("--shards", type=positive, help="of a folder of parts")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng, shards = random.Random(options.seed), options.shards
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        write_run(place / "run", "resnet18", 28)
        (place / "pictures").mkdir()
        count = PART * PARTS_A_KILL * options.kills + 17
        write_photographs(place / "pictures", count, 32, 32)
        (place / "pictures" / "0.jpg").write_bytes(b"no image")
        if start(place, command("whole.parquet")).wait():
            raise SystemExit("the undisturbed command failed")
        kills = 0
        each = [[f"--shard={i}/{shards}"] for i in range(shards or 0)] or [[]]
        for number, more in enumerate(each, 1):
            words = command("x.parquet", *more)
            while kills < options.kills * number / len(each):
                if not run_and_kill(place, "x.parquet", words, rng):
                    break  # it was whole before
                kills += 1
            if start(place, words).wait():
                raise SystemExit("the last command failed")
        one, other = (
            read_embeddings(place / out) for out in ("whole.parquet", "x.parquet")
        )
        same = np.array_equal(one.vectors.view(np.int32), other.vectors.view(np.int32))
        left = sorted(p.name for p in place.glob("x.*") if p.name != "x.parquet")
        print(f"{kills} kills, {count:,} images in parts of {PART}")
        print(f"vectors equal, bit for bit: {same}; paths: {one.paths == other.paths}")
        print(f"beside x.parquet: {', '.join(left)}")
        if not same or one.paths != other.paths:
            raise SystemExit(1)


if __name__ == "__main__":
    main()
