"""Signs of whether a loss learns: what of a batch it still acts on, and distances.

They cost another matrix of pairs, little beside a network.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jml.app._config import Config
from jml.distances import euclidean_distances, normalize, squared_distances

from ._objective import Hyperparameters, Objective, make_objective

Signs = Callable[..., dict[str, Float[Array, ""]]]


def make_signs(config: Config) -> Signs:
    """Returns ``signs(embeddings, labels, proxies, hyper)`` for a run's loss.

    It gives the mean Euclidean distance of positive and of negative pairs (with
    proxies: of items and their own proxy, and the others), and as "active"

    - contrastive: the fraction of negative pairs inside the margin;
    - triplet: that of the mined triplets whose term is above 0;
    - lifted: that of positive pairs whose term is above 0;
    - proxy_nca: that of items nearer to another proxy than to their own.
    """
    if config.loss == "proxy_nca":
        return _proxy_signs
    active = {
        "contrastive": partial(_inside, config.convention),
        "triplet": partial(_active_triplets, make_objective(config)),
        "lifted": partial(_active_pairs, make_objective(config)),
    }[config.loss]

    def signs(embeddings, labels, proxies, hyper: Hyperparameters):
        embeddings = jax.lax.stop_gradient(embeddings)
        distances = euclidean_distances(squared_distances(embeddings))
        same = labels[:, None] == labels[None, :]
        pairs = same & ~jnp.eye(len(labels), dtype=bool), ~same
        fraction = active(embeddings, labels, distances, pairs[1], hyper)
        return {"active": fraction, **_distances(distances, *pairs)}

    return signs


def _distances(distances, positive, negative):
    return {
        "positive_distance": jnp.mean(distances, where=positive),
        "negative_distance": jnp.mean(distances, where=negative),
    }


def _inside(convention: str, embeddings, labels, distances, negative, hyper):
    values = distances if convention == "paper" else distances**2
    return jnp.mean(values < hyper.margin, where=negative)


def _active_triplets(objective: Objective, embeddings, labels, distances, _, hyper):
    # The mean of [s + m]+ over triplets grows with m by the fraction above 0.
    return jax.grad(lambda m: _at(objective, embeddings, labels, hyper, m))(
        jnp.asarray(hyper.margin, distances.dtype)
    )


def _active_pairs(objective: Objective, embeddings, labels, distances, _, hyper):
    # The mean of [j + m]+^2 / 2 over pairs curves by the fraction above 0.
    def loss(m):
        return _at(objective, embeddings, labels, hyper, m)

    def slope(m):
        return jax.jvp(loss, (m,), (jnp.ones_like(m),))[1]

    margin = jnp.asarray(hyper.margin, distances.dtype)
    return jax.jvp(slope, (margin,), (jnp.ones_like(margin),))[1]


def _at(objective: Objective, embeddings, labels, hyper: Hyperparameters, margin):
    return objective(embeddings, labels, None, hyper._replace(margin=margin))


def _proxy_signs(embeddings, labels, proxies, hyper):
    embeddings, proxies = jax.lax.stop_gradient((embeddings, proxies))
    distances = euclidean_distances(
        squared_distances(normalize(embeddings), normalize(proxies))
    )
    own = labels[:, None] == jnp.arange(len(proxies))[None, :]
    nearest = jnp.min(distances, axis=1, where=own, initial=jnp.inf)
    wrong = jnp.min(distances, axis=1, where=~own, initial=jnp.inf) < nearest
    return {"active": jnp.mean(wrong), **_distances(distances, own, ~own)}
