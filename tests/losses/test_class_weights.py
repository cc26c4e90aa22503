"""Class weights: drawn, sampled (Partial FC), and what they say of items."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from pytorch_metric_learning.losses import SubCenterArcFaceLoss

from jml import losses
from tests.parity import assert_close

pytestmark = pytest.mark.usefixtures("quick_compilation")

RNG = np.random.default_rng(0)
CLASSES, DIM, SIZE = 40, 4, 24
X = RNG.normal(size=(SIZE, DIM)).astype(np.float32)
LABELS = RNG.integers(0, CLASSES, SIZE)
WEIGHTS = RNG.normal(size=(CLASSES, DIM)).astype(np.float32)
CENTERS = RNG.normal(size=(CLASSES, 3, DIM)).astype(np.float32)
KEY = jax.random.key(3)
sample = partial(losses.sample_classes, num_classes=CLASSES)


def test_weights_are_drawn_about_zero():
    with jax.enable_x64(True):
        assert losses.init_class_weights(KEY, num_classes=5, dim=2).dtype == jnp.float32
    weights = losses.init_class_weights(KEY, num_classes=500, dim=20, centers=2)
    assert weights.shape == (500, 2, 20) and weights.dtype == jnp.float32
    assert abs(float(jnp.std(weights)) - 0.01) < 2e-4


@pytest.mark.parametrize("size", [SIZE, 30, CLASSES])
def test_a_sample_has_the_classes_of_the_batch_and_none_twice(size):
    labels = np.concatenate([LABELS, [-1, CLASSES]])  # which have no weights
    rows, classes = jax.jit(partial(sample, size=size))(KEY, labels)
    np.testing.assert_array_equal(rows, classes)
    assert len(set(rows.tolist())) == size
    assert set(LABELS.tolist()) <= set(rows.tolist()) <= set(range(CLASSES))


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.uint32])
def test_labels_of_few_bits_are_those_of_many_classes(dtype):
    classes, labels = 500, np.array([0, 1, 126, 127, 3, 3])
    weights = RNG.normal(size=(classes, 2, DIM)).astype(np.float32)
    for found, expected in zip(
        *(
            (
                *losses.sample_classes(KEY, given, num_classes=classes, size=9),
                losses.dominant_centers(X[:6], given, weights),
                losses.class_outliers(X[:6], given, weights),
            )
            for given in (labels.astype(dtype), labels)
        ),
        strict=True,
    ):
        np.testing.assert_array_equal(found, expected)


def test_all_other_classes_are_drawn_equally_often():
    labels, draws = np.array([5, 5, 7]), 2000
    keys = jax.random.split(KEY, draws)
    rows = jax.vmap(lambda key: sample(key, labels, size=10)[0])(keys)
    counts = np.bincount(np.ravel(rows), minlength=CLASSES)
    assert counts[5] == counts[7] == draws
    others = np.delete(counts, [5, 7])
    expected, spread = draws * 8 / 38, np.sqrt(draws * 8 / 38 * 30 / 38)
    assert np.all(np.abs(others - expected) < 5 * spread)


def test_a_sample_of_all_classes_has_the_loss_of_all(x64):
    def full(weights):
        return losses.arcface_loss(X.astype(float), LABELS, weights)

    def sampled(weights, size):
        rows, classes = sample(KEY, LABELS, size=size)
        return losses.arcface_loss(
            X.astype(float), LABELS, weights[rows], classes=classes
        )

    weights = WEIGHTS.astype(float)
    expected = jax.value_and_grad(full)(weights)
    for a, b in zip(
        jax.value_and_grad(sampled)(weights, CLASSES), expected, strict=True
    ):
        assert_close(a, b, 1e-12, label="all sampled")
    by_weights = jax.grad(sampled)(weights, 30)
    drawn = np.asarray(sample(KEY, LABELS, size=30)[0])
    assert not np.any(np.delete(by_weights, drawn, axis=0))
    assert np.all(np.any(by_weights[drawn] != 0, axis=1))


@pytest.mark.parametrize("weights", [WEIGHTS, CENTERS])
def test_logits_are_cosines_to_the_nearest_center(weights):
    unit = lambda v: v / np.linalg.norm(v, axis=-1, keepdims=True)  # noqa: E731
    centers = weights.reshape(CLASSES, -1, DIM)
    expected = np.einsum("bd,ckd->bck", unit(X), unit(centers)).max(2)
    assert_close(losses.logits(X, weights), expected, 1e-6, label="logits")


def test_outliers_and_dominant_centers_are_those_of_pml():
    classes = 6  # several items each
    labels = np.sort(RNG.integers(0, classes - 1, SIZE))  # the last one has none
    module = SubCenterArcFaceLoss(
        num_classes=classes, embedding_size=DIM, sub_centers=3
    )
    module.W.data = torch.tensor(CENTERS[:classes].reshape(-1, DIM).T.copy())
    found, dominant = module.get_outliers(torch.tensor(X), torch.tensor(labels))
    centers = CENTERS[:classes]
    number = np.asarray(losses.dominant_centers(X, labels, centers))
    chosen = centers[np.arange(classes), number]
    # Of a class without items PML leaves zeros.
    np.testing.assert_array_equal(dominant.T[: classes - 1], chosen[: classes - 1])
    outliers = losses.class_outliers(X, labels, centers, angle=np.radians(75))
    assert sorted(found.tolist()) == np.flatnonzero(outliers).tolist()
    assert 0 < len(found) < SIZE


def test_items_of_unknown_classes_are_no_outliers():
    labels = np.where(np.arange(SIZE) % 2, -1, CLASSES)
    assert not np.any(losses.class_outliers(X, labels, WEIGHTS, angle=0.0))
    assert not np.any(losses.dominant_centers(X, labels, CENTERS))


def test_no_items_are_no_outliers_and_no_class_is_refused():
    assert losses.class_outliers(X[:0], LABELS[:0], CENTERS).shape == (0,)
    assert not np.any(losses.dominant_centers(X[:0], LABELS[:0], CENTERS))
    assert losses.logits(X, CENTERS[:0]).shape == (SIZE, 0)
    with pytest.raises(ValueError, match="`weights` must have a class"):
        losses.class_outliers(X, LABELS, CENTERS[:0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(size=2), r"`size` must hold the \d+ classes of the batch, got 2"),
        (dict(size=41), "`size` must be at most `num_classes`, 40, got 41"),
        (dict(size=0), "`size` must be a positive integer"),
        (dict(size=9, labels=np.ones(3)), "`labels` must be integer"),
        (dict(size=9, key=3), "`key` must be a key"),
        (dict(size=9, class_axis_name="x"), "`class_axis_name` must be an axis"),
    ],
)
def test_what_cannot_be_sampled_is_refused(options, message):
    with pytest.raises(ValueError, match=f"^sample_classes: {message}"):
        sample(**({"key": KEY, "labels": LABELS} | options))


def test_labels_that_cannot_be_sampled_are_warned_of():
    with pytest.warns(UserWarning, match="sample_classes: `labels` of 40 and above"):
        sample(KEY, np.array([1, CLASSES]), size=4)


@pytest.mark.parametrize("field", losses.Lengths._fields)
def test_lengths_are_two_numbers(field):
    lengths = losses.init_lengths()._replace(**{field: np.ones(SIZE)})
    with pytest.raises(ValueError, match=rf"`lengths\.{field}` must be a number"):
        losses.adaface_loss(X, LABELS, WEIGHTS, lengths=lengths)
