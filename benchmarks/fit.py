"""What the training loop costs on top of the compiled step it runs.

python benchmarks/fit.py [--steps 200 --turns 3]

Glyphs with all defaults. In turns: the compiled step alone, on one batch that is there
already; and the same step in ``fit``, with batches made, every step logged (JSON lines,
TensorBoard, a progress bar) and one checkpoint in --steps steps, without evaluation.
Then the step is timed against a bare one, without diagnostics, gradient norm and
the guard against what is not finite.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from arguments import positive
from timing import median_seconds

from jml.app._build import build
from jml.app._config import Config
from jml.app._inputs import list_images, load_dataset, make_batches
from jml.app._logging import Journal
from jml.app._run_folder import RunFolder
from jml.data import augment
from jml.losses import contrastive_loss
from jml.models import create, embed
from jml.training import (
    Checkpoints,
    data_mesh,
    fit,
    keep_freed_memory,
    replicate,
    split_batch,
)


def bare_step(config: Config, images, labels) -> Callable[[], object]:
    """Augmentation, network, loss and Adam, as one would write them down."""
    model = create(config.arch, embedding_dim=config.embedding_dim, l2norm=True)
    optimizer = optax.adam(config.lr)

    def step(state, number):
        params, stats, opt = state
        views = augment(
            jax.random.fold_in(jax.random.key(0), number),
            images,
            crop=config.image_size,
            flip=False,
        )

        def loss_of(params):
            embeddings, new = embed(model.graphdef, params, stats, views, train=True)
            return contrastive_loss(embeddings, labels, margin=config.margin), new

        (loss, stats), gradients = jax.value_and_grad(loss_of, has_aux=True)(params)
        updates, opt = optimizer.update(gradients, opt)
        return (optax.apply_updates(params, updates), stats, opt), loss

    compiled = jax.jit(step, donate_argnums=0)
    state = model.params, model.batch_stats, optimizer.init(model.params)

    def run() -> None:
        nonlocal state
        state, loss = compiled(state, jnp.int32(3))
        jax.block_until_ready((state, loss))

    return run


class Benchmark:
    """One training, its first batch, and both ways to run its steps."""

    def __init__(self, config: Config):
        """Builds it, and compiles the step."""
        self.config, self.mesh = config, data_mesh()
        dataset = load_dataset(config, list_images(config))
        self.batches = make_batches(config, dataset.train, self.mesh)
        self.training = build(config, num_classes=970, mesh=self.mesh)
        self.state = replicate(self.mesh, self.training.state)
        self.batch = split_batch(self.mesh, self.batches.batch(0))
        self.step()

    def step(self) -> None:
        """Starts one step."""
        training = self.training
        self.state, _ = training.step(
            self.state, self.batch, training.key, training.hyper
        )

    def wait(self) -> None:
        """Until all steps have run."""
        jax.block_until_ready(self.state)

    def alone(self) -> None:
        """All steps, one after the other."""
        for _ in range(self.config.maxiter):
            self.step()
        self.wait()

    def in_fit(self) -> None:
        """As many in ``fit``, with all that a run writes."""
        config, training = self.config, self.training
        run = RunFolder.claim(config)
        run.start(config)
        journal = Journal(config, run)
        journal.evaluation(0, {1: 0.0})
        checkpoints = Checkpoints(run.path / "checkpoints")
        self.state = fit(
            training.step,
            self.state._replace(step=jnp.zeros_like(self.state.step)),
            self.batches.batch,
            steps=config.maxiter,
            key=training.key,
            hyper=training.hyper,
            log=journal.step,
            checkpoints=checkpoints,
            mesh=self.mesh,
        )
        checkpoints.close()
        journal.close()
        run.release()


def compare_fit(benchmark: Benchmark, turns: int) -> None:
    """Prints what ``fit`` costs on top of the steps."""
    times: dict[str, list[float]] = {"step": [], "fit": []}
    for _ in range(turns):
        for name, run in (("step", benchmark.alone), ("fit", benchmark.in_fit)):
            started = time.perf_counter()
            run()
            seconds = time.perf_counter() - started
            times[name].append(seconds / benchmark.config.maxiter)
    step, loop = (statistics.median(times[name]) for name in ("step", "fit"))
    print(
        f"{jax.devices()[0].device_kind}: step alone {step * 1e3:.1f} ms, in fit"
        f" {loop * 1e3:.1f} ms: {100 * (loop / step - 1):+.1f} %"
        f" (turns: {[f'{1e3 * t:.1f}' for t in times['step']]},"
        f" {[f'{1e3 * t:.1f}' for t in times['fit']]})"
    )


def compare_step(benchmark: Benchmark) -> None:
    """Prints what the step costs on top of a bare one."""

    def full() -> None:
        benchmark.step()
        benchmark.wait()

    bare = bare_step(benchmark.config, *benchmark.batch)
    full_seconds, bare_seconds = median_seconds([full, bare], 5)
    print(
        f"the step {full_seconds * 1e3:.1f} ms, a bare one {bare_seconds * 1e3:.1f} ms:"
        f" {100 * (full_seconds / bare_seconds - 1):+.1f} %"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=positive, default=200)
    parser.add_argument("--turns", type=positive, default=3)
    args = parser.parse_args()
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as folder:
        benchmark = Benchmark(Config(maxiter=args.steps, checkpoints_path=folder))
        compare_fit(benchmark, args.turns)
        compare_step(benchmark)


if __name__ == "__main__":
    main()
