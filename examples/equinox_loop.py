"""A loss in an Equinox training loop, on the handwritten digits of scikit-learn."""

from functools import partial

import equinox as eqx
import jax
import numpy as np
import optax
from sklearn.datasets import load_digits

from jml import losses
from jml.data import pk_batch
from jml.evaluation import evaluate

OPTIMIZER = optax.adam(1e-3)


@eqx.filter_jit
def step(network, state, pixels, labels, margin):
    """Updates the network; an Equinox module maps one item, `vmap` maps a batch."""

    def loss_of(network):
        embeddings = jax.vmap(network)(pixels)
        return losses.triplet_loss(embeddings, labels, margin=margin, mining="semi")

    loss, gradient = eqx.filter_value_and_grad(loss_of)(network)
    updates, state = OPTIMIZER.update(gradient, state)
    return eqx.apply_updates(network, updates), state, loss


def report(name, embeddings, labels):
    """Prints two metrics of embeddings."""
    metrics = evaluate(embeddings, labels).metrics
    recall, precision = metrics["recall@1"], metrics["map@r"]
    print(f"{name:10}Recall@1 {recall:.3f}  MAP@R {precision:.3f}")


def main():
    """Trains for 100 steps on batches of 10 classes with 4 images each."""
    digits = load_digits()
    pixels = (digits.data / 16).astype(np.float32)
    train, test = slice(0, None, 2), slice(1, None, 2)
    labels = digits.target[train]
    draw = partial(pk_batch, labels, seed=0, batch_size=40, images_per_class=4)

    network = eqx.nn.MLP(64, 32, width_size=128, depth=1, key=jax.random.key(0))
    state = OPTIMIZER.init(eqx.filter(network, eqx.is_array))
    report("untrained", jax.vmap(network)(pixels[test]), digits.target[test])
    for number in range(100):
        chosen = draw(step=number)
        batch = pixels[train][chosen], labels[chosen]
        network, state, loss = step(network, state, *batch, 0.5)
        if number % 25 == 24:
            print(f"step {number + 1}: loss {loss:.3f}")
    report("trained", jax.vmap(network)(pixels[test]), digits.target[test])


if __name__ == "__main__":
    main()
