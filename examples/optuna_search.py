"""A search by Optuna over loss, margin and learning rate: `optuna_search.py [TRIALS]`.

Margin and learning rate are traced: all trials of one loss share one compiled step.
"""

import sys
from functools import partial

import jax
import numpy as np
import optax
import optuna
from sklearn.datasets import load_digits

from jml import losses
from jml.data import pk_batch
from jml.distances import normalize
from jml.evaluation import evaluate

DIGITS = load_digits()
PIXELS = (DIGITS.data / 16).astype(np.float32)
TRAIN, HELD_OUT = slice(0, None, 2), slice(1, None, 2)
LABELS = DIGITS.target[TRAIN]
DRAW = partial(pk_batch, LABELS, seed=0, batch_size=40, images_per_class=4)
LOSSES = {
    "contrastive": partial(losses.contrastive_loss, convention="paper"),
    "triplet": partial(losses.triplet_loss, mining="semi"),
}


@partial(jax.jit, static_argnames="name")
def step(weights, state, pixels, labels, margin, rate, *, name):
    """One update of a linear network by Adam."""

    def loss_of(weights):
        return LOSSES[name](normalize(pixels @ weights), labels, margin=margin)

    loss, gradient = jax.value_and_grad(loss_of)(weights)
    updates, state = optax.scale_by_adam().update(gradient, state)
    return weights - rate * updates, state, loss


def objective(trial):
    """Trains with what Optuna suggests; returns MAP@R of the images held out."""
    name = trial.suggest_categorical("loss", sorted(LOSSES))
    margin = trial.suggest_float("margin", 0.1, 1.0)
    rate = trial.suggest_float("rate", 1e-3, 3e-2, log=True)
    weights = jax.random.normal(jax.random.key(0), (64, 32)) / 8
    state = optax.scale_by_adam().init(weights)
    for number in range(60):
        chosen = DRAW(step=number)
        batch = PIXELS[TRAIN][chosen], LABELS[chosen]
        weights, state, _ = step(weights, state, *batch, margin, rate, name=name)
    embeddings = PIXELS[HELD_OUT] @ weights
    result = evaluate(embeddings, DIGITS.target[HELD_OUT], metric="cosine")
    return result.metrics["map@r"]


def main(trials=20):
    """Searches, and prints each trial and the best."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(seed=0)
    )
    study.optimize(objective, n_trials=int(trials))
    for trial in study.trials:
        settings = "loss {loss}, margin {margin:.2f}, rate {rate:.4f}".format(
            **trial.params
        )
        print(f"trial {trial.number}: {settings}: MAP@R {trial.value:.3f}")
    print(f"best: trial {study.best_trial.number}")


if __name__ == "__main__":
    main(*sys.argv[1:])
