"""Where the milliseconds of a training step go on a CPU, beside PyTorch's, by cores.

    python benchmarks/step_profile.py                # ResNet-18, 64 px, batch 64
    python benchmarks/step_profile.py --arch resnet50 --size 224 --batch 8

The step is that of training_step.py. Each convolution of the network is run alone: the
forward pass, the gradient for its images, the gradient for its kernel. A line has the
milliseconds of all that have as large a kernel and as many input channels. Adam is run
alone, too. "the rest" is the step less all of these: normalization, ReLU, pooling, the
loss, and what operations gain or lose beside one another.

Each library runs on one core and then on two, in processes of their own. Times are the
shortest of many: others who use the machine add to them. PyTorch's on two cores are of
use on a quiet machine only, for its threads wait for each other. The last columns say
how many times as fast the second core makes a library. It takes a minute or three.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from importlib.metadata import version
from itertools import product

from tables import padded

PARTS = ("forward", "gradient for images", "gradient for kernel")
HEAD = ("kernel, channels", "what", "JML, 1 core", "PyTorch", "JML, 2 cores", "PyTorch")
HEAD += ("JML gains", "PyTorch gains")
WIDTHS = (18, 19, 11, 7, 12, 7, 9, 13)
RUNS = tuple(product((1, 2), ("JML", "PyTorch")))  # in the order of the columns
ALONE, WHOLE = 0.1, 3  # seconds in which a part and the step are repeated
SMALL = 0.01  # of a step: convolutions that take less in every column share a line


def shortest_ms(function: Callable[[], object], seconds: float) -> float:
    """The shortest time of a call, in milliseconds."""
    function()
    times = []
    while sum(times) < seconds or len(times) < 3:
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times) * 1e3


def measure_here(library: str, arch: str, cores: int, size: int, batch: int) -> dict:
    """Milliseconds of a library's step and of its parts, on so many cores."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    import numpy as np
    import torch
    import torchvision
    from step_parts import convolutions, jax_adam, jax_parts, torch_adam, torch_parts
    from training_step import jax_step, torch_step

    from jml.models import create
    from jml.training import keep_freed_memory

    keep_freed_memory()
    torch.set_num_threads(cores)
    rng = np.random.default_rng(0)
    images = rng.standard_normal((batch, size, size, 3), np.float32)
    labels = (np.arange(batch) // 4).astype(np.int32)
    model = create(arch, embedding_dim=128, l2norm=True)
    if library == "PyTorch":
        net = torchvision.models.get_model(arch)
        net.fc = torch.nn.Linear(net.fc.in_features, 128)
        parts, adam = torch_parts, torch_adam(net)
        step = torch_step(net, images, labels, bfloat16=False)
    else:
        parts, adam = jax_parts, jax_adam(model.params)
        step = jax_step(model, images, labels, bfloat16=False)
    found: Counter[str] = Counter()
    for (x, kernel, stride), count in convolutions(model, images).items():
        arrays = (rng.standard_normal(shape, np.float32) for shape in (x, kernel))
        for part, run in zip(PARTS, parts(*arrays, stride), strict=True):
            if x != images.shape or part != "gradient for images":  # nobody needs it
                line = f"{kernel[0]} x {kernel[1]}, {kernel[2]}|{part}"
                found[line] += count * shortest_ms(run, ALONE)
    found["|Adam"] = shortest_ms(adam, ALONE)
    whole = shortest_ms(step, WHOLE)
    return {**found, "|the rest": whole - found.total(), "|the step": whole}


def table(found: list[dict[str, float]]) -> list[str]:
    """The lines of the table, from what each run has measured."""
    rows = {name: [run[name] for run in found] for name in found[0]}
    wholes = rows["|the step"]
    other = [0.0] * len(found)
    for name, row in list(rows.items()):
        if name[0] != "|" and all(
            ms < SMALL * whole for ms, whole in zip(row, wholes, strict=True)
        ):
            other = [a + b for a, b in zip(other, rows.pop(name), strict=True)]
    rows = {"other convolutions|all": other, **rows}
    lines = [padded(HEAD, WIDTHS), padded(["---"] * 2 + ["---:"] * 6, WIDTHS)]
    for name, row in rows.items():
        if any(row):
            gains = [f"{row[i] / row[i + 2]:.1f}" for i in (0, 1)]
            times = [f"{ms:.1f}" for ms in row]
            lines.append(padded([*name.split("|"), *times, *gains], WIDTHS))
    return lines


def main() -> None:
    from arguments import positive

    from jml.models import ARCHITECTURES

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--arch", choices=ARCHITECTURES, default="resnet18")
    parser.add_argument("--size", type=positive, default=64, help="side of the images")
    parser.add_argument("--batch", type=positive, default=64)
    args = parser.parse_args()
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("step_profile.py: error: needs two cores.")
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}
    found = []
    for cores, library in RUNS:
        words = [library, args.arch, cores, args.size, args.batch]
        done = subprocess.run(
            [sys.executable, __file__, "--here", *map(str, words)],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        if done.returncode:
            sys.exit(done.returncode)
        found.append(json.loads(done.stdout.splitlines()[-1]))
    print(
        f"{args.arch}, {args.size} px, batch {args.batch}: milliseconds of a step with"
        f" JAX {version('jax')} and PyTorch {version('torch')}"
    )
    print(*table(found), sep="\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--here"]:
        library, arch, *numbers = sys.argv[2:]
        print(json.dumps(measure_here(library, arch, *map(int, numbers))))
    else:
        from arguments import run

        run(__file__, main)
