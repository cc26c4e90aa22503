"""`fit` of ``jml.training`` for the command: logs steps, reports errors with flags."""

from functools import lru_cache
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jml.app._config import Config
from jml.errors import Interrupted, UserError
from jml.training import Checkpoints, NotFinite, fit, schedule_factor

from ._build import Training
from ._inputs import Batches
from ._logging import Journal
from ._run_evaluations import RunEvaluations

BLOCK = 4096  # learning rates computed at once


def logged_fit(
    config: Config,
    training: Training,
    batches: Batches,
    journal: Journal,
    checkpoints: Checkpoints,
    evaluations: RunEvaluations,
    mesh: Mesh,
) -> None:
    """Trains from ``training.state`` to ``config.maxiter``.

    Raises:
        UserError: a loss or gradient was not finite.
        Interrupted: a signal came; the state has been saved.
    """
    # One program, not one for each operation.
    factors_of = jax.jit(schedule_factor, static_argnums=0)

    @lru_cache(1)
    def rates(block: int) -> np.ndarray:
        steps = np.arange(block * BLOCK, (block + 1) * BLOCK)
        factors = factors_of(config.schedule, training.hyper.rates, steps)
        return config.lr * np.broadcast_to(np.asarray(factors, float), steps.shape)

    def log(record: dict[str, Any]) -> None:
        block, index = divmod(record["step"] - 1, BLOCK)
        journal.step({**record, "lr": rates(block)[index].item()})

    try:
        fit(
            training.step,
            training.state,
            batches.batch,
            steps=config.maxiter,
            key=training.key,
            hyper=training.hyper,
            log=log,
            every=config.eval_interval,
            evaluate=evaluations.evaluate,
            after_evaluation=evaluations.after_evaluation,
            checkpoints=checkpoints,
            mesh=mesh,
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
