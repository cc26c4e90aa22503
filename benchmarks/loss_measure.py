"""Time and memory of one loss and its peers, at one size."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
from loss_steps import differences, jml_step, make_batch, too_large, torch_step
from timing import PAUSE, TURNS, WARMING, median_seconds

OWN_LIMIT = 900  # seconds that JML itself may take
SLOW = 10  # a step that takes longer than this, in seconds, is timed once
RUNS = 12
MADE = RUNS + WARMING * TURNS + 2  # with those that warm up
EAGER = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
GPU = jax.default_backend() == "gpu"


def measure(task, earlier, options):
    """Time and memory of a task's loss; `earlier` is that at a smaller size."""
    left_out = {}
    if earlier:
        growth = (task["size"] / earlier["size"]) ** 3
        whys = {p: _too_much(p, earlier, growth, options) for p in task["peers"]}
        left_out = {peer: why for peer, why in whys.items() if why}
    elif why := too_large(task["loss"], task["size"]):
        left_out = {peer: why for peer in task["peers"] if _base(peer) == "PML"}
    peers = [peer for peer in task["peers"] if peer not in left_out]
    result, failed = _time_all(task, peers, options.limit)
    left_out |= failed | ({"JML": result["why"]} if "why" in result else {})
    if not GPU and "seconds" in result:
        eager = [p for p in result["seconds"] if p in peers and _base(p) == p]
        memory = _run(task | {"peers": eager, "wanted": "bytes"}, options.limit)
        result["bytes"] = memory.get("bytes", {})
    return task | {"left_out": left_out} | result


def _time_all(task, peers, limit):
    """The measurements, and why each peer failed that did."""
    task = task | {"wanted": "seconds"}
    result, failed = _run(task | {"peers": peers}, limit), {}
    if "seconds" not in result and peers:  # one of them brought the process down
        for peer in peers:
            alone = _run(task | {"peers": [peer]}, limit)
            if "seconds" not in alone:
                failed[peer] = alone["why"]
        peers = [peer for peer in peers if peer not in failed]
        result = _run(task | {"peers": peers}, limit)
    return result, failed | result.pop("failed", {})


def _base(peer):
    return peer.split()[0]  # as it is, for one that is compiled


def _too_much(peer, earlier, growth, options):
    """Why a peer is not tried, by what it took before: its cost may grow cubically."""
    if peer in earlier["left_out"]:
        return earlier["left_out"][peer]
    if peer not in earlier.get("seconds", {}):
        return ""  # it has no such loss
    seconds = growth * MADE * earlier["seconds"][peer]
    if seconds > options.limit:
        return f"might take {seconds:.0f} s"
    measured = earlier.get("bytes", {})
    taken = growth * measured.get(peer, measured.get(_base(peer), 0))
    if taken > options.most_gib * 2**30:
        return f"might take {taken / 2**30:.0f} GiB"
    return ""


def _run(task, limit):
    return run_tasks([task], OWN_LIMIT + limit * len(task["peers"]))[0]


def run_tasks(tasks, seconds):
    """What `work` returns of each: on a CPU, from one process of their own.

    Of a process that dies, the results of the tasks before count.
    """
    if GPU:
        return [work(task) for task in tasks]
    bytes_wanted = any(task["wanted"] == "bytes" for task in tasks)
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        try:
            code = subprocess.run(
                [sys.executable, __file__, json.dumps(tasks)],
                env=os.environ | (EAGER if bytes_wanted else {}),
                stdout=output,
                stderr=errors,
                timeout=seconds,
            ).returncode
            why = ""
        except subprocess.TimeoutExpired:
            code, why = 1, f"took over {seconds:.0f} s"
        if code and not why:
            errors.seek(0)
            why = (errors.read().strip().splitlines() or ["killed"])[-1][:100]
        output.seek(0)
        lines = output.read().splitlines()
    results = [json.loads(line) for line in lines if line.startswith("{")]
    return results + [{"why": why}] * (len(tasks) - len(results))


def work(task):
    """Seconds or bytes of one loss and its peers, on a GPU both, in this process."""
    name, dtype = task["loss"], task["dtype"]
    batch = make_batch(task["size"], task["dim"], task["per_class"])
    jax.clear_caches()  # compilation is to be that of a fresh process
    start = time.perf_counter()
    try:
        run, program = jml_step(name, batch, dtype=dtype)
        compile_s = time.perf_counter() - start
        jax.block_until_ready(run())
    except Exception as error:  # the other losses are still to be measured
        return {"why": _first_line(error)}
    result = {"compile_s": compile_s, "failed": {}}
    steps = {"JML": lambda: jax.block_until_ready(run())}
    if any("compiled" in peer for peer in task["peers"]) or (GPU and task["peers"]):
        _forget_earlier_tasks()
    for peer in task["peers"]:
        try:
            made = torch_step(peer, name, batch, "cuda" if GPU else "cpu", dtype)
            if made is not None:
                made()
                steps[peer] = made
        except Exception as error:  # whatever a peer raises is its result
            result["failed"][peer] = _first_line(error)
    if task["wanted"] == "seconds":
        if dtype == "float32":
            result["differs"] = differences(name, batch, steps)
        result["seconds"] = _times(steps, task)
    if task["wanted"] == "bytes" or GPU:
        analysis = program.memory_analysis()
        size = analysis.temp_size_in_bytes + analysis.output_size_in_bytes
        peak = _cuda_peak if GPU else _process_peak
        peers = {p: peak(step) for p, step in steps.items() if p != "JML"}
        result["bytes"] = {"JML": size} | peers
    return result


def _first_line(error):
    return f"{type(error).__name__}: {error}".splitlines()[0][:100]


def _times(steps, task):
    """Median seconds of each step by name; one that is slow runs once."""
    seconds, runs = task["turn"], task.get("runs", RUNS)
    slow = task.get("slow", SLOW)
    times, fast = {}, {}
    for name, step in steps.items():
        start = time.perf_counter()
        step()
        times[name] = time.perf_counter() - start
        if times[name] < slow:
            fast[name] = step
    pause = 0 if GPU else task.get("pause", PAUSE)
    medians = median_seconds(list(fast.values()), seconds, at_least=runs, pause=pause)
    return times | dict(zip(fast, medians, strict=True))


def _process_peak(step):
    Path("/proc/self/clear_refs").write_text("5")  # forgets the earlier peak
    before = _resident("VmRSS")
    step()
    return max(0, _resident("VmHWM") - before)


def _resident(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) * 1024


def _forget_earlier_tasks():
    import torch

    torch.compiler.reset()  # else it gives up after eight shapes
    torch.cuda.empty_cache()  # what it keeps, JAX may lack


def _cuda_peak(step):
    import torch

    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    step()
    return torch.cuda.max_memory_allocated() - before


if __name__ == "__main__":
    for one in json.loads(sys.argv[1]):
        print(json.dumps(work(one)), flush=True)
