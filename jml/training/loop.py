"""A whole run: data, network, training, evaluation, and what is kept of it."""

import time
from collections import deque
from collections.abc import Callable
from contextlib import closing
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from jml.data import center_crop_normalize
from jml.errors import UserError
from jml.models import save_weights

from .build import Training, build, pick_device
from .config import Config
from .evaluate import Recalls, embed_pixels, make_embed_test, recalls
from .inputs import load_dataset, make_batches
from .journal import Journal
from .prefetch import prefetch
from .report import report_run
from .run_folder import RunFolder
from .step import TrainState, decay

# Steps in flight. Reading a loss waits for its step: doing so at once would leave the
# device idle between steps.
WINDOW = 4


class Summary(NamedTuple):
    """What a run came to; ``recalls`` has "raw pixels", "untrained" and "trained"."""

    folder: Path
    recalls: dict[str, Recalls]
    images_per_second: float
    seconds: float


def train_and_evaluate(config: Config) -> Summary:
    """Trains and evaluates, showing progress and filling the run folder.

    Raises:
        UserError: a mistake in the flags or the files, a loss that is not finite, or
            a device without enough memory.
    """
    device = pick_device(config.cuda)
    run = RunFolder.claim(config)
    try:
        with jax.default_device(device):
            return _run(config, run)
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
        if not isinstance(error, MemoryError) and "RESOURCE_EXHAUSTED" not in str(
            error
        ):
            raise
        raise UserError(
            f"--batch_size: no memory for {config.batch_size} images of --image_size"
            f" {config.image_size} with --embedding_dim {config.embedding_dim}"
            f" (--batch_size_test {config.batch_size_test}); lower one of these, or"
            " pass a --microbatch."
        ) from None
    finally:
        run.close()
        run.release()


def _run(config: Config, run: RunFolder) -> Summary:
    began = time.perf_counter()
    dataset = load_dataset(config)
    batch = make_batches(config, dataset.train)
    num_train = len(np.unique(dataset.train.labels))
    num_test = len(np.unique(dataset.query.labels))
    training = build(config, num_classes=num_train)
    embed_test = make_embed_test(
        training.graphdef,
        dataset,
        batch_size=config.batch_size_test,
        prepare=partial(center_crop_normalize, crop=config.image_size),
    )
    run.start(config)
    with closing(Journal(config, run)) as journal:
        journal.say(
            f"{dataset.name}: {num_train} classes to train on, {num_test} others to"
            f" test on; {config.arch}, {config.loss}; run folder {run.path}"
        )
        for note in dataset.notes:
            journal.say(note)
        pixels = embed_pixels(dataset, crop=config.image_size)
        if pixels is not None:
            journal.baseline("raw pixels", recalls(pixels, dataset))
        del pixels  # of many images, a gigabyte
        state = training.state
        embedded = embed_test(state.params["model"], state.batch_stats)
        journal.evaluation(0, recalls(embedded, dataset))
        stops = [*range(0, config.maxiter, config.eval_interval), config.maxiter]
        for first, last in pairwise(stops):
            state = run_steps(training, state, range(first, last), batch, journal)
            params, batch_stats = state.params["model"], state.batch_stats
            embedded = embed_test(params, batch_stats)
            journal.evaluation(last, recalls(embedded, dataset))
            run.save(partial(save_weights, params=params, batch_stats=batch_stats))
        with run.writing():
            report_run(
                run.path, config, dataset, embedded, run.records, say=journal.say
            )
    seconds = time.perf_counter() - began
    print(f"\n{journal.table()}\n")
    print(
        f"{config.maxiter} steps, {journal.images_per_second:.0f} images/s,"
        f" {seconds:.0f} s in all; written to {run.path}"
    )
    return Summary(run.path, journal.recalls, journal.images_per_second, seconds)


def run_steps(
    training: Training,
    state: TrainState,
    steps: range,
    batch: Callable[[int], tuple[np.ndarray, np.ndarray]],
    journal: Journal,
) -> TrainState:
    """Takes the steps, noting the loss of each, and returns the state after them."""
    pending: deque[tuple[int, jax.Array]] = deque()

    def finish_one() -> None:
        index, loss = pending.popleft()
        lr = training.hyper.lr * decay(training.hyper, index)
        journal.step(index + 1, float(loss), lr)

    for index, inputs in zip(steps, prefetch(batch, steps), strict=True):
        state, loss = training.step(state, *inputs)
        pending.append((index, loss))
        if len(pending) > WINDOW:
            finish_one()
    while pending:
        finish_one()
    return state
