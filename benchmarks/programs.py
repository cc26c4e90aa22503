"""Counts the programs that XLA compiles for the first call of JML's functions.

python benchmarks/programs.py [--cases recall_at_k create] [--items 2000] [--names]

Each case is a process of its own, which keeps no compiled programs. Its arguments are
NumPy arrays. "again" counts what a second call compiles, with the same sizes and other
numbers. "XLA s" is the time in XLA's compiler, "first s" the whole first call.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from arguments import positive, run
from compile_events import listen
from tables import machine, padded

LOSSES = {
    "contrastive": {},
    "triplet": {"mining": "semi"},
    "multi_similarity": {},
    "proxy_nca": {},
    "arcface": {},
}
PER_CLASS = 4
Call = Callable[[np.random.Generator], object]


def make_batch(rng: np.random.Generator, size: int, dim: int) -> tuple:
    """Embeddings of length one, and their labels."""
    x = rng.normal(size=(size, dim)).astype(np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return x, (np.arange(size) // PER_CLASS).astype(np.int32)


def loss_call(name: str, compiled: bool, options: argparse.Namespace) -> Call:
    """A loss with its gradient, in one program or operation by operation."""
    import jax

    from jml import losses
    from jml._loss_specs import SPECS

    function = partial(getattr(losses, f"{name}_loss"), **LOSSES[name])
    step = jax.value_and_grad(function)
    step = jax.jit(step) if compiled else step

    def call(rng: np.random.Generator) -> object:
        x, labels = make_batch(rng, options.batch, options.dim)
        if SPECS[name].proxies is None:
            return step(x, labels)
        proxies = rng.normal(size=(options.batch // PER_CLASS, options.dim))
        return step(x, labels, proxies.astype(np.float32))

    return call


def evaluation_call(name: str, options: argparse.Namespace) -> Call:
    """A function of `jml.evaluation`."""
    from jml import evaluation

    function = getattr(evaluation, name)

    def call(rng: np.random.Generator) -> object:
        x, labels = make_batch(rng, options.items, options.dim)
        if name == "nearest_neighbours":
            return function(x, k=10)
        if name == "kmeans":
            return function(x, options.items // PER_CLASS)
        return function(x, labels)

    return call


def create_call(options: argparse.Namespace) -> Call:
    """A network."""
    from jml.models import create

    return lambda rng: create("resnet18", embedding_dim=options.dim)


def state_call(options: argparse.Namespace) -> Call:
    """The state of a network's training, by Adam."""
    from jml.models import create
    from jml.training import init_state, label_groups, make_optimizer

    model = create("resnet18", embedding_dim=options.dim)
    optimizer = make_optimizer(label_groups({"model": model.params}))

    def call(rng: np.random.Generator) -> object:
        return init_state({"model": model.params}, model.batch_stats, optimizer)

    return call


def schedule_call(options: argparse.Namespace) -> Call:
    """The learning rates of many steps."""
    from jml.training import Rates, schedule_factor

    return lambda rng: schedule_factor("step", Rates(), np.arange(4096))


def cases() -> dict[str, Callable[[argparse.Namespace], Call]]:
    """What makes the call of each case, by name."""
    made: dict[str, Callable[[argparse.Namespace], Call]] = {}
    for name in LOSSES:
        made[f"{name}, jit"] = partial(loss_call, name, True)
        made[f"{name}, eager"] = partial(loss_call, name, False)
    for name in ("evaluate", "recall_at_k", "nearest_neighbours", "kmeans"):
        made[name] = partial(evaluation_call, name)
    steps = {"create": create_call, "init_state": state_call}
    return made | steps | {"schedule_factor": schedule_call}


def measure(case: str, options: argparse.Namespace) -> dict:
    """The programs that two calls of a case compile, and the seconds of each call."""
    import jax

    call, rng = cases()[case](options), np.random.default_rng(0)
    programs: list[list] = []
    seconds = []

    listen(lambda name, seconds: programs[-1].append((name, seconds)))
    for _ in range(2):
        programs.append([])
        begin = time.perf_counter()
        jax.block_until_ready(call(rng))
        seconds.append(time.perf_counter() - begin)
    programs.append([])  # for what is compiled later: JAX goes on listening
    return {"programs": programs[:2], "seconds": seconds}


def in_process(case: str, options: argparse.Namespace) -> dict:
    """`measure` in a process of its own."""
    sizes = [f"--{name}={getattr(options, name)}" for name in ("items", "batch", "dim")]
    command = [sys.executable, __file__, "--in-process", "--cases", case, *sizes]
    cold = os.environ | {"JAX_ENABLE_COMPILATION_CACHE": "0"}
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True, env=cold
    )
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--cases", nargs="+", choices=cases(), default=list(cases()))
    add("--items", type=positive, default=2000, help="of a search (2000)")
    add("--batch", type=positive, default=128, help="items of a loss (128)")
    add("--dim", type=positive, default=128, help="numbers an embedding (128)")
    add("--names", action="store_true", help="name the programs, too")
    add("--in-process", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.in_process:
        print(json.dumps(measure(options.cases[0], options)))
        return
    print(machine(["jax"]))
    titles = ["first call of", "programs", "again", "XLA s", "first s", "second ms"]
    widths = [24, 8, 6, 8, 9, 10]
    print(padded(titles, widths))
    print(padded(["---"] * len(titles), widths), flush=True)
    for case in options.cases:
        found = in_process(case, options)
        first, again = found["programs"]
        xla = sum(seconds for _, seconds in first)
        cells = [case, len(first), len(again), f"{xla:.2f}"]
        cells += [f"{found['seconds'][0]:.2f}", f"{1e3 * found['seconds'][1]:.1f}"]
        print(padded(cells, widths), flush=True)
        for name, seconds in first + again if options.names else []:
            print(f"  {name} {seconds:.2f}", flush=True)


if __name__ == "__main__":
    run(__file__, main)
