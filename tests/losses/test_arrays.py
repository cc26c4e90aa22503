"""What counts as an array: whatever JAX takes for one, such as a parameter of Flax."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jml import distances, losses
from jml._loss_specs import variants
from tests.losses.contract import (
    CASES,
    LABELS,
    PROXIES,
    SPEC_OF,
    X,
    representative,
)
from tests.parity import assert_close

pytestmark = pytest.mark.usefixtures("quick_compilation")
# One case of each function, in its textbook form.
EACH = {
    variants()[case.partition("-")[0]][0]: case
    for case in reversed(CASES)
    if not case.endswith("-original")
}.values()


class Box:
    """The protocol alone, as other libraries have it."""

    def __init__(self, array):
        self.array = array

    def __jax_array__(self):
        return self.array


kinds = pytest.mark.parametrize("kind", [nnx.Param, Box])


def arguments(name, kind):
    """Plain ones, and the same as objects of a kind."""
    x, labels, where = jnp.asarray(X), jnp.asarray(LABELS), jnp.asarray(LABELS > 0)
    number = jnp.asarray(0.7)
    plain = {"embeddings": x, "labels": labels, "where": where}
    plain |= dict.fromkeys(SPEC_OF[name].defaults(), number)
    if SPEC_OF[name].proxies is not None:
        plain |= {SPEC_OF[name].proxies.argument: PROXIES}
    boxed = {argument: kind(value) for argument, value in plain.items()}
    if SPEC_OF[name].proxies is None:
        memory = losses.update_memory(losses.init_memory(3, 4), x[:2], labels[:2])
        plain["memory"] = memory
        boxed["memory"] = losses.Memory(*map(kind, memory))
    return plain, boxed


@kinds
@representative
def test_losses_take_array_objects_for_every_argument(name, kind):
    plain, boxed = arguments(name, kind)
    assert CASES[name](**boxed) == CASES[name](**plain)


@pytest.mark.parametrize("name", EACH)
def test_all_losses_are_traced_with_array_objects(name):
    boxed = arguments(name, Box)[1]
    assert jax.eval_shape(lambda: CASES[name](**boxed)).shape == ()


@kinds
def test_memories_and_keys_may_be_array_objects(kind):
    memory = losses.init_memory(3, 4)
    expected = losses.update_memory(memory, X[:2], LABELS[:2])
    for held in (losses.Memory(*map(kind, memory)), kind(memory)):
        found = losses.update_memory(held, kind(X[:2]), kind(LABELS[:2]))
        jax.tree.map(np.testing.assert_array_equal, found, expected)
    key = jax.random.key(0)
    np.testing.assert_array_equal(
        losses.init_proxies(kind(key), num_classes=3, dim=2),
        losses.init_proxies(key, num_classes=3, dim=2),
    )


@kinds
def test_distances_take_array_objects(kind):
    x = jnp.asarray(X)
    squared = distances.squared_distances(x)
    found = distances.squared_distances(kind(x)), distances.normalize(kind(x))
    np.testing.assert_array_equal(found[0], squared)
    np.testing.assert_array_equal(found[1], distances.normalize(x))
    np.testing.assert_array_equal(distances.squared_distances(x, kind(x)), squared)
    roots = distances.euclidean_distances(kind(squared))
    np.testing.assert_array_equal(roots, distances.euclidean_distances(squared))


def test_the_gradient_of_a_flax_parameter_is_one():
    """With respect to it, inside and outside of Flax's and JAX's transformations."""

    def loss(proxies):
        return losses.proxy_nca_loss(X, LABELS, proxies)

    expected = jax.grad(loss)(PROXIES)
    for differentiate in (nnx.grad(loss), jax.grad(loss), jax.jit(jax.grad(loss))):
        found = differentiate(nnx.Param(PROXIES))
        assert isinstance(found, nnx.Param)
        # Compiled as a whole, entries that nearly cancel are rounded differently.
        assert_close(found[...], expected, 1e-6, label="gradient")


@pytest.mark.parametrize("what", [[1.0], None, "x"])
def test_objects_without_an_array_are_refused(what):
    with pytest.raises(ValueError, match=r"`embeddings` must be an array .* got a "):
        losses.contrastive_loss(Box(what), LABELS)
