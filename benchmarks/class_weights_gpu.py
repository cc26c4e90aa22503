"""Losses of class weights beside PyTorch at a million classes: time and peak memory.

python benchmarks/class_weights_gpu.py                              # a GPU, 8 minutes
python benchmarks/class_weights_gpu.py --classes 2000 --batch 64 --dim 32 --seconds 0.1

A step is the loss and its gradient by embeddings and weights. PyTorch's is the cross
entropy of scaled cosines, under torch.compile. "a tenth" is ArcFace with a sample of
the classes (Partial FC); the step draws it, and its gradient is by the drawn weights.
JML makes products of bfloat16 weights in float32, PyTorch in bfloat16.

Each line comes from a process of its own, so that its peak is its own: on a GPU the
bytes that were allocated there, weights and gradient included, and otherwise those of
the process. "program" is what XLA plans for the step. Where both sides compute the same
number, a difference is reported below the table.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from importlib.util import find_spec

from arguments import positive, positive_number, run
from tables import padded, three_digits
from timing import median_seconds

from jml.app._parser import Parser

# Else JAX takes most of the card as it starts.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

LOSSES = ("normalized softmax", "arcface", "arcface, a tenth")
DTYPES = {"float32": 1e-3, "bfloat16": 5e-2}  # how far values may differ
SCALE, MARGIN, PART = 64.0, 0.5, 10
HEAD = ("loss", "dtype", "side", "ms", "peak, GiB", "program, GiB", "compilation, s")
WIDTHS = (18, 8, 5, 8, 9, 12, 14)
LIMIT = 120  # seconds that one process may take
PERIODS = 4093, 4091  # primes: no two of 16 million classes have the same weights


def numbers(task):
    """Rows from which weights are added up, embeddings and labels, as NumPy's."""
    import numpy as np

    rng = np.random.default_rng(0)
    table = rng.standard_normal((PERIODS[0], task["dim"]), np.float32)
    x = rng.standard_normal((task["batch"], task["dim"]), np.float32)
    return table, x, rng.integers(0, task["classes"], task["batch"])


def jml_step(task):
    """The compiled step of JML, and what is known of it."""
    from functools import partial

    import jax
    import jax.numpy as jnp

    from jml import losses
    from jml.training import peak_memory

    classes, name = task["classes"], task["loss"]
    table, x, labels = map(jnp.asarray, numbers(task))

    @jax.jit
    def make_weights(table):
        one, other = (table[jnp.arange(classes) % period] for period in PERIODS)
        return (one + other).astype(task["dtype"])

    weights, x = make_weights(table), x.astype(task["dtype"])
    loss = partial(losses.arcface_loss, scale=SCALE, margin=MARGIN)
    if name == "normalized softmax":
        loss = partial(losses.normalized_softmax_loss, temperature=1 / SCALE)
    differentiate = jax.value_and_grad(loss, argnums=(0, 2))

    def step(x, labels, weights, key):
        if name != "arcface, a tenth":
            return differentiate(x, labels, weights)
        rows, drawn = losses.sample_classes(
            key, labels, num_classes=classes, size=classes // PART
        )
        return differentiate(x, labels, weights[rows], classes=drawn)

    arguments = x, labels, weights, jax.random.key(0)
    start = time.perf_counter()
    program = jax.jit(step).lower(*arguments).compile()
    seconds = time.perf_counter() - start
    memory = program.memory_analysis()
    fields = ("argument", "output", "temp")
    known = {
        "device": jax.devices()[0].device_kind,
        "version": f"JAX {jax.__version__}",
        "compile_s": seconds,
        "program": sum(getattr(memory, f"{f}_size_in_bytes") for f in fields),
    }
    run_step = lambda: jax.block_until_ready(program(*arguments))[0]  # noqa: E731
    return run_step, peak_memory, known


def torch_step(task):
    """The same of PyTorch."""
    import torch
    from torch.nn.functional import cross_entropy, normalize

    cuda = torch.cuda.is_available()
    device, name, classes = "cuda" if cuda else "cpu", task["loss"], task["classes"]
    table, x, y = (torch.tensor(a, device=device) for a in numbers(task))
    dtype = getattr(torch, task["dtype"])
    margin = torch.tensor(MARGIN, device=device)

    @torch.compile
    def make_weights(table):
        one, other = (
            table[torch.arange(classes, device=device) % period] for period in PERIODS
        )
        return (one + other).to(dtype)

    @torch.compile
    def loss(x, y, weights):
        cosine = normalize(x) @ normalize(weights).T
        if name != "normalized softmax":
            own = cosine.gather(1, y[:, None]).float()
            sine = (1 - own**2).clamp(min=1e-6).sqrt()
            within = own * margin.cos() - sine * margin.sin()
            own = torch.where(own > -margin.cos(), within, own - margin * margin.sin())
            cosine = cosine.scatter(1, y[:, None], own.to(cosine.dtype))
        return cross_entropy(SCALE * cosine.float(), y)

    weights, x = make_weights(table), x.to(dtype).requires_grad_()

    def step():
        part, place = weights, y
        if name == "arcface, a tenth":
            order = torch.rand(classes, device=device)
            order[y] = 2
            rows = order.topk(classes // PART).indices.sort().values
            part, place = weights[rows], torch.searchsorted(rows, y)
        part = part.detach().requires_grad_()
        value = loss(x, place, part)
        torch.autograd.grad(value, (x, part))
        if cuda:
            torch.cuda.synchronize()
        return value.detach()

    start = time.perf_counter()
    step()
    known = {
        "device": torch.cuda.get_device_name() if cuda else "cpu",
        "version": f"PyTorch {torch.__version__}",
        "compile_s": time.perf_counter() - start,
    }
    return step, torch.cuda.max_memory_allocated if cuda else process_peak, known


def process_peak():
    """The most bytes of this process so far."""
    import resource

    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def work(task):
    """What one process measures."""
    step, peak, known = (jml_step if task["side"] == "JML" else torch_step)(task)
    value = float(step())
    (seconds,) = median_seconds([step], task["seconds"], pause=0)
    return known | {"value": value, "seconds": seconds, "peak": peak()}


def measure(task):
    """The same, from a process of its own; "why" says what it failed of."""
    command = [sys.executable, __file__, json.dumps(task)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return {"why": f"took over {LIMIT} s"}
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        said = done.stderr.strip().splitlines()
        errors = [text for text in said if "Error" in text and text[0] != " "]
        return {"why": (errors or said or ["killed"])[-1][:100]}
    return json.loads(lines[-1])


def line(task, found):
    """Of the table."""
    cells = task["loss"], task["dtype"], task["side"]
    if "why" in found:
        return padded((*cells, *4 * ["-"]), WIDTHS)
    peak, program = (found.get(key, 0) / 2**30 for key in ("peak", "program"))
    cells += three_digits(1e3 * found["seconds"]), f"{peak:.2f}"
    cells += f"{program:.2f}" if program else "-", f"{found['compile_s']:.1f}"
    return padded(cells, WIDTHS)


def compare(by_side, name, dtype):
    """Reports what failed, and values that differ where both draw all classes."""
    for side, found in by_side.items():
        if "why" in found:
            print(f"{name}, {dtype}, {side}: {found['why']}")
    values = [found["value"] for found in by_side.values() if "value" in found]
    if len(values) == 2 and name != "arcface, a tenth":
        ours, theirs = values
        if abs(ours - theirs) > DTYPES[dtype] * abs(theirs):
            print(f"{name}, {dtype}: JML has {ours:.4f}, PyTorch {theirs:.4f}")


def parse():
    """The options."""
    parser = Parser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--classes", type=positive, default=1_000_000, help="(1000000)")
    add("--batch", type=positive, default=1024, help="items (1024)")
    add("--dim", type=positive, default=512, help="numbers an embedding (512)")
    add("--losses", nargs="+", choices=LOSSES, default=LOSSES, help="which (all)")
    add("--dtypes", nargs="+", choices=DTYPES, default=list(DTYPES), help="(both)")
    add("--seconds", type=positive_number, default=1.0, help="of a turn, of three (1)")
    text = "after which no further line is begun (6)"
    add("--minutes", type=positive_number, default=6, help=text)
    return parser.parse_args()


def main():
    options = parse()
    sides = ["JML", "torch"] if find_spec("torch") else ["JML"]
    end = time.perf_counter() + 60 * options.minutes
    print(f"B = {options.batch:,}, C = {options.classes:,}, D = {options.dim}\n")
    print(padded(HEAD, WIDTHS))
    print(padded(["---"] * len(HEAD), WIDTHS), flush=True)
    results, machines = {}, {}
    sizes = {key: getattr(options, key) for key in ("classes", "batch", "dim")}
    for dtype in options.dtypes:
        for name in options.losses:
            by_side = results.setdefault((name, dtype), {})
            for side in sides:
                task = sizes | {"loss": name, "dtype": dtype, "side": side}
                by_side[side] = {"why": "no time was left"}
                if time.perf_counter() < end:
                    task["seconds"] = options.seconds
                    by_side[side] = measure(task)
                print(line(task, by_side[side]), flush=True)
                if "device" in by_side[side]:
                    machines[by_side[side]["version"]] = by_side[side]["device"]
    print()
    for version, device in machines.items():
        print(f"{version}: {device}")
    for (name, dtype), by_side in results.items():
        compare(by_side, name, dtype)


if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1].startswith("{"):
        print(json.dumps(work(json.loads(sys.argv[1]))))
    else:
        run(__file__, main)
