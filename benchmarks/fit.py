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
from jml.app._inputs import load_dataset, make_batches
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=positive, default=200)
    parser.add_argument("--turns", type=positive, default=3)
    args = parser.parse_args()
    keep_freed_memory()
    folder = tempfile.TemporaryDirectory()
    config = Config(maxiter=args.steps, checkpoints_path=folder.name)
    mesh = data_mesh()
    dataset = load_dataset(config)
    batches = make_batches(config, dataset.train, mesh)
    training = build(config, num_classes=970, mesh=mesh)
    settings = training.key, training.hyper
    state = replicate(mesh, training.state)
    batch = split_batch(mesh, batches.batch(0))
    state, _ = training.step(state, batch, *settings)

    def alone(state):
        for _ in range(args.steps):
            state, _ = training.step(state, batch, *settings)
        return jax.block_until_ready(state)

    def in_fit(state):
        run = RunFolder.claim(config)
        run.start(config)
        journal = Journal(config, run)
        journal.evaluation(0, {1: 0.0})
        checkpoints = Checkpoints(run.path / "checkpoints")
        start = jnp.zeros_like(state.step)
        state = fit(
            training.step,
            state._replace(step=start),
            batches.batch,
            steps=args.steps,
            key=training.key,
            hyper=training.hyper,
            log=journal.step,
            checkpoints=checkpoints,
            mesh=mesh,
        )
        checkpoints.close()
        journal.close()
        run.release()
        return state

    times: dict[str, list[float]] = {"step": [], "fit": []}
    for _ in range(args.turns):
        for name, run in (("step", alone), ("fit", in_fit)):
            started = time.perf_counter()
            state = run(state)
            times[name].append((time.perf_counter() - started) / args.steps)
    step, loop = (statistics.median(times[name]) for name in ("step", "fit"))
    print(
        f"{jax.devices()[0].device_kind}: step alone {step * 1e3:.1f} ms, in fit"
        f" {loop * 1e3:.1f} ms: {100 * (loop / step - 1):+.1f} %"
        f" (turns: {[f'{1e3 * t:.1f}' for t in times['step']]},"
        f" {[f'{1e3 * t:.1f}' for t in times['fit']]})"
    )

    def full() -> None:
        nonlocal state
        state, _ = training.step(state, batch, *settings)
        jax.block_until_ready(state)

    full_seconds, bare_seconds = median_seconds([full, bare_step(config, *batch)], 5)
    print(
        f"the step {full_seconds * 1e3:.1f} ms, a bare one {bare_seconds * 1e3:.1f} ms:"
        f" {100 * (full_seconds / bare_seconds - 1):+.1f} %"
    )


if __name__ == "__main__":
    main()
