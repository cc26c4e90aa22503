"""Time and memory of each loss, forward and backward, JML beside its peers.

python benchmarks/losses.py --quick                # B = 512 alone, a few minutes
python benchmarks/losses.py --out results          # all sizes, hours on two cores
python benchmarks/losses.py --sizes 65536 --peers  # JML alone, in blocks

Before anything is timed, the values are compared with those of torch_ref, and with
PML's where the definition is the same. Times are medians, taken in turns in one
process; the ratio is that of the fastest peer. JML's memory is what the compiled
program asks for; a peer's is what a step adds to a process at its peak, where freed
memory goes back to the system at once, or to what CUDA has allocated.
"""

import argparse
import itertools
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

from loss_plot import plot

SLOW = 10  # a peer that takes longer than this, in seconds, is timed once
RUNS = 12
EAGER = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}


def times(functions, seconds):
    """Median seconds of each function by name; one that is slow runs once."""
    from timing import median_seconds

    found, fast = {}, {}
    for name, function in functions.items():
        function()  # compiles
        start = time.perf_counter()
        function()
        found[name] = time.perf_counter() - start
        if found[name] < SLOW:
            fast[name] = function
    medians = median_seconds(list(fast.values()), seconds, at_least=RUNS)
    return found | dict(zip(fast, medians, strict=True))


def work(task):
    """Times one loss, or takes its memory, in this process."""
    import jax
    from loss_steps import check_values, jml_step, make_batch, torch_step

    name, gpu = task["loss"], jax.default_backend() == "gpu"
    batch = make_batch(task["size"], task["dim"], task["per_class"])
    start = time.perf_counter()
    step, program = jml_step(name, batch, dtype=task["dtype"])
    compile_s = time.perf_counter() - start
    steps, failed = {"JML": step}, {}
    device = "cuda" if gpu else "cpu"
    for peer in task["peers"]:
        try:
            made = torch_step(peer, name, batch, device)
            if made is not None:
                made()
                steps[peer] = made
        except Exception as error:  # whatever a peer raises is its result
            failed[peer] = f"{type(error).__name__}: {str(error).splitlines()[0][:80]}"
    if not task["memory"]:
        if task["dtype"] == "float32":
            check_values(name, batch, steps)
        return {
            "seconds": times(steps, task["turn"]),
            "compile_s": compile_s,
            "failed": failed,
        }
    analysis = program.memory_analysis()
    peak = {"JML": analysis.temp_size_in_bytes + analysis.output_size_in_bytes}
    measure_peak = _cuda_peak if gpu else _process_peak
    peers = [name for name in steps if name != "JML"]
    return {"bytes": peak | {peer: measure_peak(steps[peer]) for peer in peers}}


def _process_peak(step):
    Path("/proc/self/clear_refs").write_text("5")  # forgets the earlier peak
    before = _resident("VmRSS")
    step()
    return _resident("VmHWM") - before


def _resident(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) * 1024


def _cuda_peak(step):
    import torch

    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    step()
    return torch.cuda.max_memory_allocated() - before


def run(task, limit):
    """What `work` returns, from a process of its own; {} where it gave nothing."""
    environment = os.environ | (EAGER if task["memory"] else {})
    try:
        done = subprocess.run(
            [sys.executable, __file__, "--work", json.dumps(task)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=limit,
        )
    except subprocess.TimeoutExpired:
        return {"why": f"over {limit} s"}
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["killed"])[-1]
        return {"why": last[:100]}
    return json.loads(done.stdout.splitlines()[-1])


def measure(task, earlier, options):
    """Both measurements of one loss at one size."""
    # A peer whose step took long, or much memory, at half the size is left out.
    peers = [
        peer
        for peer in task["peers"]
        if not earlier or _affordable(peer, earlier, options)
    ]
    task = task | {"peers": peers}
    found = task | run(task | {"memory": False}, options.limit * (1 + len(peers)))
    eager = [peer for peer in peers if "compiled" not in peer]
    memory = run(task | {"memory": True, "peers": eager}, options.limit * 3)
    return found | {"bytes": memory.get("bytes", {})}


def _affordable(peer, earlier, options):
    seconds = earlier.get("seconds", {}).get(peer, math.inf)
    memory = earlier["bytes"].get(peer.split()[0], 0)
    most = options.most_gib * 2**30
    return 8 * seconds * RUNS < options.limit and 8 * memory < most


def row(result):
    """One line of the table."""
    seconds, peak = result.get("seconds", {}), result["bytes"]
    mine = seconds.get("JML", math.nan)
    cells = [f"{result['size']:6}", f"{result['loss']:16}", f"{mine * 1e3:9.2f}"]
    peers = {name: s for name, s in seconds.items() if name != "JML"}
    for peer in ("torch_ref", "torch_ref compiled", "PML", "PML compiled"):
        cells.append(f"{peers[peer] * 1e3:9.2f}" if peer in peers else f"{'-':>9}")
    ratio = min(peers.values()) / mine if peers else math.nan
    cells.append(f"{ratio:7.1f}" if peers else f"{'-':>7}")
    for name in ("JML", "torch_ref", "PML"):
        text = f"{peak[name] / 2**20:9.1f}" if name in peak else f"{'-':>9}"
        cells.append(text)
    cells.append(f"{result.get('compile_s', math.nan):6.2f}")
    return " | ".join(cells) + (f"  {result['why']}" if "why" in result else "")


TIMED = ("torch_ref", "compiled", "PML", "compiled")
HEAD = " | ".join(
    [f"{'B':>6}", f"{'loss':16}", f"{'JML ms':>9}"]
    + [f"{peer:>9}" for peer in TIMED]
    + [f"{'times':>7}", f"{'JML MiB':>9}", f"{'torch_ref':>9}", f"{'PML':>9}", "comp s"]
)


def main():
    """Prints a table, and writes it with JSON and a plot where asked."""
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
    parser.add_argument("--work", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        return print(json.dumps(work(options.work)))
    if options.quick:
        options.sizes, options.dims, options.per_class = [512], [128], [4]
        options.peers = [peer for peer in options.peers if "compiled" not in peer]
    results = []
    for dim, per_class in itertools.product(options.dims, options.per_class):
        print(f"\nD = {dim}, {per_class} a class, {options.dtype}\n{HEAD}", flush=True)
        earlier = {}
        for size, name in itertools.product(sorted(options.sizes), options.losses):
            task = {"loss": name, "size": size, "dim": dim, "per_class": per_class}
            task |= {"dtype": options.dtype, "turn": options.seconds}
            task["peers"] = list(options.peers)
            earlier[name] = measure(task, earlier.get(name), options)
            results.append(earlier[name])
            print(row(earlier[name]), flush=True)
            if options.out:
                options.out.mkdir(parents=True, exist_ok=True)
                text = json.dumps(results, indent=1)
                (options.out / "losses.json").write_text(text)
    if options.out:
        plot(results, options.out / "losses.png")


if __name__ == "__main__":
    main()
