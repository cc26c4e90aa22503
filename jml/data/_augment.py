"""What happens to pictures on the device: crop, flip, normalise."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, UInt8

# Mean and standard deviation of ImageNet's pictures in RGB, in grey levels from 0 to
# 255: what torchvision's weights were trained with.
MEAN = 255 * np.float32([0.485, 0.456, 0.406])
STD = 255 * np.float32([0.229, 0.224, 0.225])


def augment(
    key: PRNGKeyArray,
    images: UInt8[Array, "n s s 3"],
    *,
    crop: int,
    flip: bool,
) -> Float[Array, "n crop crop 3"]:
    """Cuts a random square out of each picture, mirrors half of them, normalises.

    Args:
        key: randomness, one draw of position and mirroring for each picture.
        images: square pictures.
        crop: side of the square (static).
        flip: whether to mirror left and right with probability one half (static).

    Returns:
        float32 pictures.

    Raises:
        ValueError: not uint8 [n, s, s, 3], or `crop` is not from 1 to s.

    Example:
        >>> images = jnp.zeros((5, 36, 36, 3), jnp.uint8)
        >>> augment(jax.random.key(0), images, crop=32, flip=True).shape
        (5, 32, 32, 3)
    """
    _check("augment", images, crop)
    place, side = jax.random.split(key)
    slack = images.shape[1] - crop
    corners = jax.random.randint(place, (len(images), 2), 0, slack + 1)
    cut = partial(jax.lax.dynamic_slice, slice_sizes=(crop, crop, 3))
    images = jax.vmap(lambda image, at: cut(image, (at[0], at[1], 0)))(images, corners)
    if flip:
        mirrored = jax.random.bernoulli(side, shape=(len(images), 1, 1, 1))
        images = jnp.where(mirrored, images[:, :, ::-1], images)
    return _normalise(images)


def center_crop_normalize(
    images: UInt8[Array, "n s s 3"], *, crop: int
) -> Float[Array, "n crop crop 3"]:
    """Cuts the middle out of each picture and normalises, as evaluation does.

    The corner is at half the slack rounded to the nearest even integer, as torchvision
    rounds it.

    Raises:
        ValueError: not uint8 [n, s, s, 3], or `crop` is not from 1 to s.

    Example:
        >>> images = jnp.zeros((1, 36, 36, 3), jnp.uint8)
        >>> center_crop_normalize(images, crop=32)[0, 0, 0]
        Array([-2.117904 , -2.0357141, -1.8044444], dtype=float32)
    """
    _check("center_crop_normalize", images, crop)
    at = round((images.shape[1] - crop) / 2)
    return _normalise(images[:, at : at + crop, at : at + crop])


def _normalise(images):
    return (images.astype(jnp.float32) - MEAN[None, None, None]) / STD[None, None, None]


def _check(name, images, crop) -> None:
    shape = images.shape
    if (
        images.dtype != jnp.uint8
        or len(shape) != 4
        or shape[1:] != (shape[1],) * 2 + (3,)
    ):
        raise ValueError(
            f"{name}: `images` must be uint8 [n, s, s, 3], got {images.dtype} {shape}"
        )
    if not 1 <= crop <= shape[1]:
        raise ValueError(f"{name}: `crop` must be from 1 to {shape[1]}, got {crop}")
