"""Annotations of the library are checked while the tests run."""

import jax
import jax.numpy as jnp
import jaxtyping
import pytest
from jaxtyping import Array, Float, TypeCheckError

from jml.pairwise import count_true
from tests.type_checks import check, checks

X, Y = jnp.ones((3, 2)), jnp.ones(2)
wrong = pytest.raises(TypeCheckError)


@checks(typechecker=check)
def sums(x: Float[Array, "a b"], y: Float[Array, " b"]) -> Float[Array, " a"]:
    """Wrong where there are four rows."""
    return y if len(x) == 4 else x @ y


def test_a_letter_is_one_size_within_a_call():
    sums(X, Y)
    sums(jnp.ones((2, 5)), jnp.ones(5))  # other sizes in another call
    with wrong:
        sums(X, jnp.ones(3))
    with wrong:
        sums(jnp.ones((4, 2)), Y)
    with wrong:
        jax.eval_shape(sums, X, X)


def test_functions_of_the_library_are_checked():
    count_true(X > 0, jnp.float32)
    for mask in (X, X[0] > 0):
        with wrong:
            count_true(mask, jnp.float32)


def test_any_arguments_go_unchecked(any_arguments):
    assert jaxtyping.config.jaxtyping_disable
    count_true(X, jnp.float32)
