"""Processor time of the tests, beside the time they take.

python benchmarks/test_time.py [--workers 2] [-- PYTEST ARGUMENTS]

Runs first the quick tests, then all, each with an empty cache of compiled programs.
Processor time is that of pytest and everything it starts; it says more than the time
that passes, which doubles where others use the machine, too.
"""

import argparse
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

from arguments import positive

ROOT = Path(__file__).parents[1]
RUNS = {"quick": ["-m", "not slow"], "all": []}


def processor_seconds() -> float:
    """Those of all processes that this one has started and waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def measure(arguments: list[str]) -> tuple[int, float, float]:
    """Runs pytest: its exit code, processor seconds and seconds."""
    cold = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    before, start = processor_seconds(), time.perf_counter()
    program = [sys.executable, "-m", "pytest", "-q", *arguments]
    code = subprocess.run(program, cwd=ROOT, env=cold, check=False).returncode
    return code, processor_seconds() - before, time.perf_counter() - start


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workers", type=positive, default=2)
    parser.add_argument("--runs", nargs="+", choices=RUNS, default=list(RUNS))
    parser.add_argument("rest", nargs="*", help="further arguments of pytest, after --")
    options = parser.parse_args()
    measured = {}
    for name in options.runs:
        workers = ["-n", str(options.workers)]
        measured[name] = measure([*workers, *RUNS[name], *options.rest])
    print("tests  processor s  wall s  exit code")
    for name, (code, processor, wall) in measured.items():
        print(f"{name:<6} {processor:11.0f} {wall:7.0f} {code:10}")
    return max(code for code, _, _ in measured.values())


if __name__ == "__main__":
    sys.exit(main())
