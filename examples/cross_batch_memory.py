"""A cross-batch memory: batches of 4 images, compared with the 320 before them.

Alone, a batch of two classes with two images each has few triplets. The memory is an
ordinary value of the training state: the loss reads it, and afterwards the batch is
written into it, over the oldest embeddings. Earlier images cost no network.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.datasets import load_digits

from jml import losses
from jml.data import pk_batch
from jml.distances import normalize
from jml.evaluation import evaluate

OPTIMIZER = optax.adam(1e-3)


def embed(weights, pixels):
    """Two layers, and embeddings of length one."""
    hidden = jax.nn.relu(pixels @ weights["hidden"])
    return normalize(hidden @ weights["head"])


@jax.jit
def step(weights, state, memory, pixels, labels):
    """One update, with or without a memory (None)."""

    def loss_of(weights):
        x = embed(weights, pixels)
        options = {"margin": 0.2, "mining": "semi", "memory": memory}
        return losses.triplet_loss(x, labels, **options), x

    gradient, x = jax.grad(loss_of, has_aux=True)(weights)
    updates, state = OPTIMIZER.update(gradient, state)
    if memory is not None:
        memory = losses.update_memory(memory, x, labels)
    return optax.apply_updates(weights, updates), state, memory


def main():
    """Trains for 200 steps without a memory, and 200 with one."""
    digits = load_digits()
    pixels = (digits.data / 16).astype(np.float32)
    train, test = slice(0, None, 2), slice(1, None, 2)
    labels = digits.target[train]
    draw = partial(pk_batch, labels, seed=0, batch_size=4, images_per_class=2)
    first, second = jax.random.split(jax.random.key(0))
    start = {
        "hidden": jax.random.normal(first, (64, 128)) / 8,
        "head": jax.random.normal(second, (128, 32)) / jnp.sqrt(128),
    }
    for name, memory in (("none", None), ("of 320", losses.init_memory(320, 32))):
        weights, state = start, OPTIMIZER.init(start)
        for number in range(200):
            chosen = draw(step=number)
            batch = pixels[train][chosen], labels[chosen]
            weights, state, memory = step(weights, state, memory, *batch)
        embeddings = embed(weights, pixels[test])
        metrics = evaluate(embeddings, digits.target[test], metric="cosine").metrics
        print(f"memory {name:8}MAP@R {metrics['map@r']:.3f}")


if __name__ == "__main__":
    main()
