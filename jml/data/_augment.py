"""What happens to images on the device: crop, flip, normalise."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, UInt8

from jml._checks import check_key, is_integer
from jml._value_checks import check_fields

# Mean and standard deviation of ImageNet's images in RGB, in grey levels from 0 to 255:
# what torchvision's weights were trained with.
MEAN = 255 * np.array([0.485, 0.456, 0.406], np.float32)
STD = 255 * np.array([0.229, 0.224, 0.225], np.float32)


def augment(
    key: PRNGKeyArray,
    images: UInt8[Array | np.ndarray, "n s s 3"],
    *,
    crop: int,
    flip: bool,
) -> Float[Array, "n crop crop 3"]:
    """Cuts a random square out of each image, mirrors half of them, normalises.

    Args:
        key: randomness, one draw of position and mirroring for each image.
        images: square images.
        crop: side of the square (static).
        flip: whether to mirror left and right with probability one half (static).

    Returns:
        float32 images.

    Raises:
        ValueError: not uint8 [n, s, s, 3], or `crop` is not from 1 to s.

    Example:
        >>> images = jnp.zeros((5, 36, 36, 3), jnp.uint8)
        >>> augment(jax.random.key(0), images, crop=32, flip=True).shape
        (5, 32, 32, 3)
    """
    images, key = _checked("augment", images, crop), check_key("augment", "key", key)
    place, side = jax.random.split(key)
    slack = images.shape[1] - crop
    corners = jax.random.randint(place, (len(images), 2), 0, slack + 1)
    cut = partial(jax.lax.dynamic_slice, slice_sizes=(crop, crop, 3))
    images = jax.vmap(lambda image, at: cut(image, (at[0], at[1], 0)))(images, corners)
    if flip:
        mirrored = jax.random.bernoulli(side, shape=(len(images), 1, 1, 1))
        images = jnp.where(mirrored, images[:, :, ::-1], images)
    return _normalise(images)


def strong_augment(
    key: PRNGKeyArray,
    images: UInt8[Array | np.ndarray, "n s s 3"],
    *,
    crop: int,
    flip: bool,
) -> Float[Array, "n crop crop 3"]:
    """Cuts boxes of random size and shape, resizes, mirrors, changes colours.

    A box has from 16 to 100 % of an image's area and an aspect from 3:4 to 4:3, both
    with uniform logarithms. It shrinks to the image where it would exceed it. It is
    resized bilinearly with antialiasing. Brightness, then contrast, then saturation are
    multiplied by factors from 0.75 to 1.25, each as torchvision does.

    Args:
        key: randomness, drawn for each image.
        images: square images.
        crop: side of the result (static).
        flip: whether to mirror left and right with probability one half (static).

    Returns:
        float32 images, normalised.

    Raises:
        ValueError: not uint8 [n, s, s, 3], or `crop` is not from 1 to s.

    Example:
        >>> images = jnp.zeros((5, 36, 36, 3), jnp.uint8)
        >>> strong_augment(jax.random.key(0), images, crop=32, flip=True).shape
        (5, 32, 32, 3)
    """
    images = _checked("strong_augment", images, crop)
    key = check_key("strong_augment", "key", key)
    n, side = len(images), images.shape[1]
    box, place, mirror, colour = jax.random.split(key, 4)
    low = jnp.log(jnp.array([[0.16, 3 / 4]], jnp.float32))
    high = jnp.log(jnp.array([[1.0, 4 / 3]], jnp.float32))
    area, aspect = jnp.exp(jax.random.uniform(box, (n, 2), minval=low, maxval=high)).T
    sizes = jnp.minimum(jnp.sqrt(jnp.stack([area / aspect, area * aspect], 1)), 1)
    corners = jax.random.uniform(place, (n, 2)) * (1 - sizes)
    factors = jax.random.uniform(colour, (n, 3), minval=0.75, maxval=1.25)
    boxes = resize_boxes(
        images.astype(jnp.float32), side * corners, side * sizes, crop=crop
    )
    if flip:
        mirrored = jax.random.bernoulli(mirror, shape=(n, 1, 1, 1))
        boxes = jnp.where(mirrored, boxes[:, :, ::-1], boxes)
    return _normalise(change_colours(boxes, factors))


def resize_boxes(
    images: Float[Array, "n h w 3"],
    corners: Float[Array, "n 2"],
    sizes: Float[Array, "n 2"],
    *,
    crop: int,
) -> Float[Array, "n crop crop 3"]:
    """Resizes a box of each image to a square, bilinearly with antialiasing.

    Corners and sizes are in pixels, down before across. At its edges a box takes in
    pixels next to it, as if the whole image were resized and then cut.
    """

    def resize_box(image: Array, corner: Array, size: Array) -> Array:
        scale = crop / size
        return jax.image.scale_and_translate(
            image, (crop, crop, 3), (0, 1), scale, -corner * scale, "linear"
        )

    return jax.vmap(resize_box)(images, corners, sizes)


def change_colours(
    images: Float[Array, "n h w 3"], factors: Float[Array, "n 3"]
) -> Float[Array, "n h w 3"]:
    """Multiplies brightness, then contrast, then saturation; levels from 0 to 255."""
    brightness, contrast, saturation = factors.T[:, :, None, None, None]

    def blend(one: Array, other: Array | int, ratio: Array) -> Array:
        return jnp.clip(ratio * one + (1 - ratio) * other, 0, 255)

    weights = jnp.array([[[[0.2989, 0.587, 0.114]]]], jnp.float32)

    def grey(images: Array) -> Array:
        return jnp.sum(images * weights, axis=3, keepdims=True)

    images = blend(images, 0, brightness)
    mean = jnp.mean(grey(images), axis=(1, 2), keepdims=True)
    images = blend(images, mean, contrast)
    return blend(images, grey(images), saturation)


def center_crop_normalize(
    images: UInt8[Array | np.ndarray, "n s s 3"], *, crop: int
) -> Float[Array, "n crop crop 3"]:
    """Cuts the middle out of each image and normalises, as evaluation does.

    The corner is at half the slack rounded to the nearest even integer, as torchvision
    rounds it.

    Raises:
        ValueError: not uint8 [n, s, s, 3], or `crop` is not from 1 to s.

    Example:
        >>> images = jnp.zeros((1, 36, 36, 3), jnp.uint8)
        >>> center_crop_normalize(images, crop=32)[0, 0, 0]
        Array([-2.117904 , -2.0357141, -1.8044444], dtype=float32)
    """
    images = _checked("center_crop_normalize", images, crop)
    at = round((images.shape[1] - crop) / 2)
    return _normalise(images[:, at : at + crop, at : at + crop])


def _normalise(images: Array) -> Array:
    return (images.astype(jnp.float32) - MEAN[None, None, None]) / STD[None, None, None]


def _checked(name: str, images: Array | np.ndarray, crop: int) -> Array:
    check_fields(name, "images", images, "dtype shape", "uint8 [n, s, s, 3]")
    shape = images.shape
    if (
        images.dtype != jnp.uint8
        or len(shape) != 4
        or shape[1:] != (shape[1],) * 2 + (3,)
    ):
        raise ValueError(
            f"{name}: `images` must be uint8 [n, s, s, 3], got {images.dtype} {shape}"
        )
    if not is_integer(crop) or not 1 <= crop <= shape[1]:
        raise ValueError(f"{name}: `crop` must be from 1 to {shape[1]}, got {crop!r}")
    return jnp.asarray(images)
