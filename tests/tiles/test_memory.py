"""What the compiled programs of class weights hold, beside the weights."""

import jax
import jax.numpy as jnp
import pytest

from jml import losses
from tests.compilation import quickly

BATCH, DIM, TILE = 8, 64, 64


@pytest.mark.parametrize("classes", [16384, 16381])
def test_a_step_of_bfloat16_weights_holds_no_second_copy_of_them(classes):
    """XLA's CPU backend would widen all of them, before the loop over tiles."""

    def loss(x, weights, labels):
        return losses.arcface_loss(x, labels, weights, block_size=TILE)

    x = jax.ShapeDtypeStruct((BATCH, DIM), jnp.float32)
    weights = jax.ShapeDtypeStruct((classes, DIM), jnp.bfloat16)
    labels = jax.ShapeDtypeStruct((BATCH,), jnp.int32)
    step = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))
    with quickly(same_memory=True):
        memory = step.lower(x, weights, labels).compile().memory_analysis()
    assert memory.temp_size_in_bytes < memory.output_size_in_bytes / 4
