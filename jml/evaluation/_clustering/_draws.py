"""What k-means draws, from the numbers that ``jax.random`` gives, made by NumPy.

JAX would compile its generator into the program of k-means, of which it would be half.

References:
    Salmon, Moraes, Dror and Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", SC
    2011, https://doi.org/10.1145/2063384.2063405: Threefry, with 20 rounds.
"""

import jax
import numpy as np
from jaxtyping import Float, UInt

ROTATIONS = (13, 15, 26, 6), (17, 29, 16, 24)
PARITY = np.uint32(0x1BD11BDA)

Bits = UInt[np.ndarray, "_"]


def draw_start(
    seed: int, items: int, shape: tuple[int, int], dtype: np.dtype
) -> tuple[int, Float[np.ndarray, "k t"]]:
    """Which item is the first centre, and uniform numbers for the choice of others.

    Args:
        seed: from 0 to 2^31 - 1.
        items: how many items there are.
        shape: of the uniform numbers.
        dtype: of the uniform numbers, float32 or float64.
    """
    first, rest = _split(np.array([0, seed], np.uint32))
    wide = jax.dtypes.canonicalize_dtype(np.int64) == np.int64
    high, low = (int(_bits(key, 1, wide)[0]) for key in _split(first))
    # `high` and `low` are the digits of a number in base 2^32 or 2^64; its remainder.
    base = 2**64 if wide else 2**32
    # As in `jax.random.randint`, where products wrap around.
    of_base = (2 ** (32 if wide else 16) % items) ** 2 % base % items
    index = (high % items * of_base + low % items) % base % items
    wide = dtype == np.float64
    bits = _bits(rest, shape[0] * shape[1], wide)
    # Random digits behind "1." in binary, then minus 1.
    one = np.ones((), dtype).view(bits.dtype)
    shift = bits.dtype.type(12 if wide else 9)
    return index, ((bits >> shift | one).view(dtype) - dtype.type(1)).reshape(shape)


def _split(key: Bits) -> tuple[Bits, Bits]:
    """Two keys, as ``jax.random.split`` makes them."""
    left, right = np.stack(_threefry(key, 2), axis=1)
    return left, right


def _bits(key: Bits, count: int, wide: bool) -> Bits:
    """As ``jax.random.bits``: numbers of 32 bits, or 64 if `wide`."""
    left, right = _threefry(key, count)
    if wide:
        return left.astype(np.uint64) << np.uint64(32) | right
    return left ^ right


def _threefry(key: Bits, count: int) -> tuple[Bits, Bits]:
    """Two random words for each of the numbers 0, 1, ... below `count`."""
    keys = key[0], key[1], key[0] ^ key[1] ^ PARITY
    left = np.full(count, keys[0])
    right = np.arange(count, dtype=np.uint32) + keys[1]
    for block in range(5):
        for bits in ROTATIONS[block % 2]:
            left = left + right
            right = right << np.uint32(bits) | right >> np.uint32(32 - bits)
            right = right ^ left
        left = left + keys[(block + 1) % 3]
        right = right + keys[(block + 2) % 3] + np.uint32(block + 1)
    return left, right
