"""The steps of a run: what the command logs of them, and says when they end early."""

from functools import lru_cache
from typing import Any

import jax.numpy as jnp
import numpy as np

from jml.app._config import Config
from jml.app._logging._journal import Journal
from jml.errors import Interrupted, UserError
from jml.training import Checkpoints, NotFinite, TrainState, fit, schedule_factor

from ._build import Training
from ._inputs import Batches

BLOCK = 4096  # learning rates computed at once


def take_steps(
    config: Config,
    training: Training,
    state: TrainState,
    batches: Batches,
    journal: Journal,
    checkpoints: Checkpoints,
    **options: Any,
) -> None:
    """Trains from `state` to ``config.maxiter``; ``fit`` documents the options.

    Raises:
        UserError: a loss or gradient was not finite.
        Interrupted: by a signal, once the state is saved.
    """

    @lru_cache(1)
    def rates(block: int) -> np.ndarray:
        steps = jnp.arange(block * BLOCK, (block + 1) * BLOCK)
        factors = schedule_factor(config.schedule, training.hyper.rates, steps)
        return config.lr * np.broadcast_to(np.asarray(factors, float), steps.shape)

    def log(record: dict[str, Any]) -> None:
        block, place = divmod(record["step"] - 1, BLOCK)
        journal.step({**record, "lr": rates(block)[place].item()})

    try:
        fit(
            training.step,
            state,
            batches.batch,
            steps=config.maxiter,
            key=training.key,
            hyper=training.hyper,
            log=log,
            every=config.eval_interval,
            checkpoints=checkpoints,
            **options,
        )
    except NotFinite as error:
        step = error.record["step"]
        journal.not_finite(error.record, batches.indices(step=step - 1))
        raise UserError(
            f"--lr: {error} The batch's images are in metrics.jsonl; try a rate below"
            f" {config.lr:g}, or --resume with --on_nan skip."
        ) from None
    except Interrupted as error:
        raise Interrupted(
            error.number, f"{error}, saved; --resume goes on from there"
        ) from None
