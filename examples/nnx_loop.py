"""A loss in a Flax NNX training loop, on the handwritten digits of scikit-learn.

Half of the images train a small network. The other half shows what it has learnt: how
well each of its images retrieves the others of its class.
"""

from functools import partial

import jax
import numpy as np
import optax
from flax import nnx
from sklearn.datasets import load_digits

from jml import losses
from jml.data import pk_batch
from jml.evaluation import evaluate


class Network(nnx.Module):
    """From 64 pixels to an embedding of 32 numbers."""

    def __init__(self, rngs: nnx.Rngs):
        """Draws the weights."""
        self.hidden = nnx.Linear(64, 128, rngs=rngs)
        self.head = nnx.Linear(128, 32, rngs=rngs)

    def __call__(self, pixels: jax.Array) -> jax.Array:
        """Embeds a batch of images."""
        return self.head(nnx.relu(self.hidden(pixels)))


@nnx.jit
def step(network, optimizer, pixels, labels, beta):
    """Updates the network; `beta` is traced, so a new value does not recompile."""

    def loss_of(network):
        return losses.multi_similarity_loss(network(pixels), labels, beta=beta)

    loss, gradient = nnx.value_and_grad(loss_of)(network)
    optimizer.update(network, gradient)
    return loss


def report(name, embeddings, labels):
    """Prints two metrics of embeddings."""
    metrics = evaluate(embeddings, labels, metric="cosine").metrics
    recall, precision = metrics["recall@1"], metrics["map@r"]
    print(f"{name:10}Recall@1 {recall:.3f}  MAP@R {precision:.3f}")


def main():
    """Trains for 100 steps on batches of 10 classes with 4 images each."""
    digits = load_digits()
    pixels = (digits.data / 16).astype(np.float32)
    train, test = slice(0, None, 2), slice(1, None, 2)
    labels = digits.target[train]
    draw = partial(pk_batch, labels, seed=0, batch_size=40, images_per_class=4)

    network = Network(nnx.Rngs(0))
    optimizer = nnx.Optimizer(network, optax.adam(1e-3), wrt=nnx.Param)
    report("untrained", network(pixels[test]), digits.target[test])
    for number in range(100):
        chosen = draw(step=number)
        beta = 10 + 0.4 * number  # from 10 to 50
        batch = pixels[train][chosen], labels[chosen]
        loss = step(network, optimizer, *batch, beta)
        if number % 25 == 24:
            print(f"step {number + 1}: loss {loss:.3f}")
    report("trained", network(pixels[test]), digits.target[test])


if __name__ == "__main__":
    main()
