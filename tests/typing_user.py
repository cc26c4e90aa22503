"""What a user writes, for the type checker: it must accept every line.

``pyright`` reads this file; ``tests/test_package.py`` runs it.
"""

import jax
import jax.numpy as jnp
import numpy as np

import jml
from jml import losses
from jml.evaluation import Evaluation, evaluate


def loss_of_numpy(embeddings: np.ndarray, labels: np.ndarray) -> jax.Array:
    return losses.triplet_loss(embeddings, labels, margin=0.2, mining="semi")


def loss_of_jax(embeddings: jax.Array, labels: jax.Array) -> jax.Array:
    return losses.contrastive_loss(embeddings, labels, margin=jnp.float32(0.5))


def gradient(embeddings: jax.Array, labels: np.ndarray) -> jax.Array:
    return jax.grad(lambda x: jml.losses.lifted_loss(x, labels))(embeddings)


def evaluate_both(embeddings: np.ndarray, labels: np.ndarray) -> list[float]:
    of_numpy: Evaluation = evaluate(embeddings, labels, ks=(1,), clusterings=0)
    of_jax = evaluate(jnp.asarray(embeddings), jnp.asarray(labels), clusterings=0)
    return [evaluation.metrics["recall@1"] for evaluation in (of_numpy, of_jax)]


def main() -> list[float]:
    labels = np.arange(12) // 3
    embeddings = np.eye(4, dtype=np.float32)[labels]
    values = [
        float(loss_of_numpy(embeddings, labels)),
        float(loss_of_jax(jnp.asarray(embeddings), jnp.asarray(labels))),
        float(gradient(jnp.asarray(embeddings), labels).sum()),
    ]
    return values + evaluate_both(embeddings, labels)
