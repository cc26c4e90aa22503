"""k-means draws the numbers of ``jax.random``, on the host."""

import jax
import numpy as np
import pytest

from jml.evaluation._clustering._draws import draw_start


@pytest.mark.parametrize("wide", [False, True], ids=["float32", "float64"])
def test_the_start_of_k_means_is_drawn_as_jax_random_draws(wide):
    dtype = np.dtype(np.float64 if wide else np.float32)
    with jax.enable_x64(wide):
        for seed, items in ((0, 1), (7, 4097), (2**31 - 1, 2**20 + 3)):
            first, rest = jax.random.split(jax.random.key(seed))
            index = jax.random.randint(first, (), 0, items)
            uniform = jax.random.uniform(rest, (5, 3), dtype)
            drawn = draw_start(seed, items, (5, 3), dtype)
            assert drawn[0] == index
            assert drawn[1].dtype == uniform.dtype
            np.testing.assert_array_equal(drawn[1], uniform)
