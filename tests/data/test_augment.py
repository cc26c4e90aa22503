import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torchvision.transforms import functional

from jml.data import augment, center_crop_normalize, strong_augment
from jml.data._augment import change_colours, resize_boxes

pytestmark = pytest.mark.usefixtures("quick_compilation")

MEAN = np.array([0.485, 0.456, 0.406])
STD = np.array([0.229, 0.224, 0.225])
KEY = jax.random.key(0)


def random_images(n=6, side=11, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, side, side, 3), dtype=np.uint8)


def levels(normalised):
    """Back to grey levels, exactly."""
    values = (np.asarray(normalised, np.float64) * STD + MEAN) * 255
    assert np.abs(values - values.round()).max() < 1e-3
    return values.round().astype(np.uint8)


def places(image, square):
    """Every (row, column, mirrored) at which a square is cut out of an image."""
    crop, slack = len(square), len(image) - len(square)
    return [
        (y, x, mirrored)
        for y in range(slack + 1)
        for x in range(slack + 1)
        for mirrored in (False, True)
        if (
            image[y : y + crop, x : x + crop][:, :: -1 if mirrored else 1] == square
        ).all()
    ]


@pytest.mark.parametrize("flip", [False, True])
def test_augment_crops_and_mirrors_each_image_on_its_own(flip):
    images = np.tile(random_images(1), (400, 1, 1, 1))
    squares = levels(augment(KEY, images, crop=8, flip=flip))
    found = [places(images[0], square) for square in squares]
    assert all(len(f) == 1 for f in found)  # a square is found, and in one place only
    seen, counts = np.unique([f[0] for f in found], axis=0, return_counts=True)
    assert len(seen) == 16 * (2 if flip else 1)  # all corners, all sides
    assert counts.max() < 60 if not flip else counts.max() < 35


def test_augment_without_cropping_keeps_the_whole_image():
    images = random_images()
    assert (levels(augment(KEY, images, crop=11, flip=False)) == images).all()


def test_augment_is_a_pure_function_of_its_key_also_under_jit():
    images = random_images()
    one = augment(KEY, images, crop=8, flip=True)
    again = jax.jit(augment, static_argnames=("crop", "flip"))(
        KEY, images, crop=8, flip=True
    )
    np.testing.assert_allclose(one, again, atol=1e-6)
    other = augment(jax.random.key(1), images, crop=8, flip=True)
    assert not np.allclose(one, other)


@pytest.mark.parametrize(("side", "crop"), [(11, 8), (12, 8), (256, 224), (9, 9)])
def test_centre_crop_is_torchvisions(side, crop):
    images = random_images(2, side)
    expected = functional.normalize(
        functional.center_crop(torch.tensor(images).permute(0, 3, 1, 2), crop) / 255,
        MEAN.tolist(),
        STD.tolist(),
    )
    got = center_crop_normalize(images, crop=crop)
    assert got.dtype == jnp.float32
    np.testing.assert_allclose(got, expected.permute(0, 2, 3, 1).numpy(), atol=2e-6)


def test_augmentation_needs_no_rank_promotion():
    with jax.numpy_rank_promotion("raise"):
        augment(KEY, random_images(), crop=8, flip=True)
        center_crop_normalize(random_images(), crop=8)


@pytest.mark.parametrize(
    ("images", "crop", "words"),
    [
        (random_images(), 12, "`crop` must be from 1 to 11"),
        (random_images(), 0, "`crop` must be from 1 to 11"),
        (random_images().astype(np.float32), 8, "uint8"),
        (random_images()[0], 8, "n s s 3"),
        (random_images()[:, :9], 8, "n s s 3"),
        (random_images()[..., :1], 8, "n s s 3"),
    ],
)
def test_bad_arguments_of_augmentation_are_named(images, crop, words):
    for function in (
        lambda: augment(KEY, images, crop=crop, flip=False),
        lambda: center_crop_normalize(images, crop=crop),
    ):
        with pytest.raises(ValueError) as caught:
            function()
        assert words.replace("n s s 3", "[n, s, s, 3]") in str(caught.value)


def to_torch(images):
    return torch.tensor(np.asarray(images)).permute(0, 3, 1, 2)


def from_torch(images):
    return images.permute(0, 2, 3, 1).numpy()


def test_colours_are_changed_as_torchvision_does():
    images = random_images(3).astype(np.float32)
    factors = np.float32([[0.8, 1.2, 0.9], [1.25, 0.75, 1.1], [1, 1, 1]])
    got = np.asarray(change_colours(images, factors))
    for image, (brightness, contrast, saturation), ours in zip(
        images, factors, got, strict=True
    ):
        expected = to_torch(image[None]) / 255
        expected = functional.adjust_brightness(expected, brightness)
        expected = functional.adjust_contrast(expected, contrast)
        expected = functional.adjust_saturation(expected, saturation)
        np.testing.assert_allclose(ours / 255, from_torch(expected)[0], atol=1e-6)


def test_whole_images_are_resized_as_torchvision_does():
    images = random_images(2, 40).astype(np.float32)
    whole = np.full((2, 2), 40, np.float32)
    got = resize_boxes(images, 0 * whole, whole, crop=16)
    expected = functional.resize(to_torch(images), [16, 16], antialias=True)
    np.testing.assert_allclose(got, from_torch(expected), atol=1e-3)


def test_boxes_are_resized_as_torchvision_does_but_for_their_edges():
    images = random_images(1, 40).astype(np.float32)
    got = resize_boxes(images, np.float32([[3, 2]]), np.float32([[30, 33]]), crop=16)
    expected = functional.resized_crop(
        to_torch(images), 3, 2, 30, 33, [16, 16], antialias=True
    )
    inner = np.s_[:, 2:-2, 2:-2]
    np.testing.assert_allclose(got[inner], from_torch(expected)[inner], atol=1e-3)


@pytest.mark.slow
def test_strong_augmentation_varies_everything_and_repeats():
    images = np.broadcast_to(random_images(1, 40), (64, 40, 40, 3))
    one = strong_augment(KEY, images, crop=16, flip=True)
    assert one.shape == (64, 16, 16, 3) and one.dtype == jnp.float32
    np.testing.assert_array_equal(one, strong_augment(KEY, images, crop=16, flip=True))
    assert len(np.unique(np.asarray(one), axis=0)) == 64
    levels = np.asarray(one) * STD + MEAN  # in brightness from 0 to 1
    assert levels.min() >= -1e-5 and levels.max() <= 1 + 1e-5
    grey = np.full((8, 40, 40, 3), 100, np.uint8)
    plain = np.asarray(strong_augment(KEY, grey, crop=16, flip=False)) * STD + MEAN
    assert np.ptp(plain.reshape(8, -1), axis=1).max() < 1e-4
    brightness = plain[:, 0, 0, 0] * 255 / 100
    assert 0.75 <= brightness.min() < 0.95 < 1.05 < brightness.max() <= 1.25
