"""Times the losses and a training step of two commits in alternating turns.

    python benchmarks/two_commits.py BEFORE               # against what is checked out
    python benchmarks/two_commits.py BEFORE AFTER --turns 50 --sizes 256 1024

Each commit is checked out into a temporary folder and runs in a process of its own. In
a turn both measure the same thing, one after the other, and begin by turns. The ratio
of a turn is after / before. The table has the median of the ratios, and the interval
that holds their true median with a probability of at least 95 %: from one ordered ratio
to another, by the binomial distribution. Losses that one of the commits lacks are left
out.
"""

import argparse
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIM, PER_CLASS = 128, 4
# Of a commit before jml/_loss_specs.py, the table of losses.
EARLIER_LOSSES = {
    "contrastive": ("contrastive_loss", {}, False),
    "triplet hardest": ("triplet_loss", {"mining": "hardest"}, False),
    "triplet semi": ("triplet_loss", {"mining": "semi"}, False),
    "triplet all": ("triplet_loss", {"mining": "all"}, False),
    "lifted": ("lifted_loss", {}, False),
    "proxy_nca": ("proxy_nca_loss", {}, True),
}
STEP = "training step"
TURN = 0.15  # seconds that a process measures in a turn, at least


def losses_of_the_commit() -> dict[str, tuple[str, dict[str, str], bool]]:
    """By name: each loss's function, its options, and whether it has proxies."""
    try:
        from jml._loss_specs import SPECS, variants
    except ImportError:
        return EARLIER_LOSSES
    return {
        variant: (f"{name}_loss", options, SPECS[name].proxies is not None)
        for variant, (name, options) in variants(separator=" ").items()
    }


def make_loss(name: str, size: int) -> Callable[[], object]:
    """Value and gradient of one loss, compiled; a call waits for the result."""
    import jax
    import numpy as np

    from jml import losses

    function, options, has_proxies = losses_of_the_commit()[name]
    rng = np.random.default_rng(0)
    labels = np.arange(size) // PER_CLASS
    centres = rng.normal(size=(labels.max() + 1, DIM))
    x = centres[labels] + rng.normal(size=(size, DIM))
    x = (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)
    rest = (centres.astype(np.float32),) if has_proxies else ()
    arguments = jax.device_put((x, labels, *rest))

    def loss(x, *rest):
        return getattr(losses, function)(x, *rest, **options)

    step = jax.jit(jax.value_and_grad(loss))
    return lambda: jax.block_until_ready(step(*arguments))


def make_training_step() -> Callable[[], object]:
    """The command's step with all defaults: ResNet-18 on 96 images of 28 pixels."""
    import jax
    import numpy as np

    try:
        from jml.app._build import build
        from jml.app._config import Config
    except ImportError:  # before jml/app was split from jml/training
        from jml.training.build import build

        from jml.training import Config

    config = Config(loss="contrastive")
    training = build(config, num_classes=24)
    labels = (np.arange(config.batch_size) // PER_CLASS).astype(np.int32)
    images = np.random.default_rng(0).integers(
        256, size=(config.batch_size, 32, 32, 3), dtype=np.uint8
    )
    batch = jax.device_put((images, labels))
    state = training.state

    def step() -> None:
        nonlocal state
        state, measured = training.step(state, batch, training.key, training.hyper)
        jax.block_until_ready((state, measured))

    return step


def serve() -> None:
    """What a commit's process does: names its losses, then measures, a line each."""
    print(*losses_of_the_commit(), sep="\t", flush=True)
    functions: dict[str, Callable[[], object]] = {}
    for line in sys.stdin:
        what = line.rstrip("\n")
        if what not in functions:
            name, _, size = what.partition(", B = ")
            made = make_training_step() if name == STEP else make_loss(name, int(size))
            made(), made()  # compiles, and warms the caches
            functions[what] = made
        times = []
        begin = time.perf_counter()
        while sum(times) < TURN:
            functions[what]()
            end = time.perf_counter()
            times.append(end - begin)
            begin = end
        print(statistics.median(times), flush=True)


def tree_of(commit: str, stack: ExitStack) -> Path:
    """Checks a commit out until `stack` is closed."""
    tree = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "tree"
    git = ["git", "-C", str(ROOT), "worktree"]
    subprocess.run([*git, "add", "-q", "--detach", str(tree), commit], check=True)
    remove = [*git, "remove", "--force", str(tree)]
    stack.callback(subprocess.run, remove, check=True)
    return tree


class Served:
    """The process of one commit."""

    def __init__(self, commit: str | None, stack: ExitStack) -> None:
        """Checks the commit out; None is the tree that this file is in."""
        tree = ROOT if commit is None else tree_of(commit, stack)
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(tree)},
        )
        stack.callback(self._process.kill)
        assert self._process.stdout
        self.losses = self._process.stdout.readline().rstrip("\n").split("\t")

    def seconds(self, what: str) -> float:
        """Measures once."""
        assert self._process.stdin and self._process.stdout
        print(what, file=self._process.stdin, flush=True)
        return float(self._process.stdout.readline())


def interval(ratios: list[float]) -> tuple[float, float]:
    """Bounds of the median: the outermost ordered values that 95 % need."""
    count, outside, rank = len(ratios), 0.0, 0
    while True:
        outside += math.comb(count, rank) / 2**count
        if 2 * outside > 0.05:
            break
        rank += 1
    ordered = sorted(ratios)
    rank = max(rank - 1, 0)
    return ordered[rank], ordered[count - 1 - rank]


def main() -> None:
    from arguments import positive  # not where a commit without jml/app serves

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("before", help="a commit")
    parser.add_argument("after", nargs="?", help="a commit; default: this tree")
    parser.add_argument("--turns", type=positive, default=30)
    parser.add_argument("--sizes", type=positive, nargs="+", default=[256, 1024])
    args = parser.parse_args()
    with ExitStack() as stack:
        both = Served(args.before, stack), Served(args.after, stack)
        losses = [name for name in both[0].losses if name in both[1].losses]
        things = [f"{name}, B = {size}" for name in losses for size in args.sizes]
        print(f"{'':<26}{'before':>10}{'after':>10}{'ratio':>8}  interval")
        for what in [*things, STEP]:
            seconds: tuple[list[float], list[float]] = ([], [])
            for turn in range(args.turns + 1):
                for which in (0, 1) if turn % 2 else (1, 0):
                    seconds[which].append(both[which].seconds(what))
            before, after = (times[1:] for times in seconds)  # the first one compiled
            ratios = [b / a for a, b in zip(before, after, strict=True)]
            low, high = interval(ratios)
            medians = (statistics.median(times) * 1e3 for times in (before, after))
            cells = "".join(f"{ms:>7.2f} ms" for ms in medians)
            ratio = statistics.median(ratios)
            print(
                f"{what:<26}{cells}{ratio:>8.3f}  {low:.3f} to {high:.3f}", flush=True
            )


if __name__ == "__main__":
    if sys.argv[1:] == ["--serve"]:
        serve()
    else:
        from arguments import run

        run(__file__, main)
