"""What every loss makes of unusual embeddings, labels and hyperparameters."""

import jax
import numpy as np
import pytest
import torch

from jml import losses
from tests.losses.contract import (
    ALL_CASES,
    CASES,
    LABELS,
    PAIR_CASES,
    X,
    assert_finite,
    evaluate,
    every_hyperparameter,
    every_of_items,
    ignore_missing_proxies,
    representative,
    representative_hyperparameter,
    value_and_grad,
)

pytestmark = [pytest.mark.usefixtures("quick_compilation"), ignore_missing_proxies]


@representative
def test_losses_of_no_items_and_of_no_columns_are_finite(name):
    assert_finite(evaluate(name, X[:0], LABELS[:0]))
    if name in PAIR_CASES:
        assert_finite(evaluate(name, X[:, :0]))


ERRORS = [
    (dict(embeddings=X[0]), r"`embeddings` must have shape \[B, D\], got \(4,\)"),
    (
        dict(embeddings=X.tolist()),
        r"`embeddings` must be an array \[B, D\] of JAX or NumPy, got a list",
    ),
    (dict(embeddings=LABELS[:, None]), "`embeddings` must be floating, got int"),
    (dict(labels=LABELS[:, None]), r"`labels` must have shape \[B\], got \(12, 1\)"),
    (dict(labels=LABELS / 2), "`labels` must be integer, got float"),
    (dict(labels=LABELS[:3]), "`labels` must have one entry for each of the 12"),
    (dict(where=LABELS), "`where` must be boolean, got int"),
    (dict(where=np.ones(3, bool)), "`where` must have one entry for each of the 12"),
]


@every_of_items
@pytest.mark.parametrize(("arguments", "message"), ERRORS)
def test_errors_of_losses_name_the_argument(name, arguments, message):
    loss = CASES[name]
    with pytest.raises(ValueError, match=f"{loss.func.__name__}.*{message}"):
        loss(**{"embeddings": X, "labels": LABELS, **arguments})


@every_hyperparameter
@pytest.mark.parametrize(
    "number", ["a", True, 1j, np.ones(3), np.ones((), bool), np.complex64(1), None]
)
def test_hyperparameters_that_are_no_numbers_are_refused(name, argument, number):
    with pytest.raises(ValueError, match=f"`{argument}` must be a number, (got|or)"):
        ALL_CASES[name](X, LABELS, **{argument: number})


@representative_hyperparameter
@pytest.mark.parametrize("number", [1e300, 10**40, 1e-300])
def test_hyperparameters_beyond_float32_saturate(name, argument, number):
    value, grad = value_and_grad(name, X, **{argument: number})
    assert np.isfinite(value) and np.all(np.isfinite(grad))


@every_of_items
def test_labels_beyond_int32_are_refused(name):
    """JAX keeps 32 bits of a NumPy label, and would take these for one class."""
    labels = np.arange(12, dtype=np.int64) * 2**32
    with pytest.raises(
        ValueError, match=r"_loss: `labels` must fit int32, got 0 to 47"
    ):
        CASES[name](X, labels)


@representative
def test_labels_beyond_int32_are_taken_in_64_bits(x64, name):
    assert np.isfinite(CASES[name](X, np.arange(12, dtype=np.int64) * 2**32))


def test_losses_refuse_tensors_of_pytorch():
    with pytest.raises(ValueError, match="of JAX or NumPy, got a Tensor"):
        losses.contrastive_loss(torch.tensor(X), LABELS)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.uint32])
def test_narrow_labels_find_their_proxies_among_many(dtype):
    proxies = jax.random.normal(jax.random.key(1), (700, 4))
    narrow = losses.proxy_nca_loss(X, LABELS.astype(dtype), proxies)
    assert narrow == losses.proxy_nca_loss(X, LABELS.astype(np.int32), proxies)


def test_a_nan_in_a_positive_pair_makes_the_loss_nan():
    x = np.array([[np.nan], [1]], np.float32)
    assert np.isnan(losses.contrastive_loss(x, np.array([0, 0])))


BAD_CHOICES = [
    ("triplet_loss", dict(mining="hard"), "`mining` must be one of"),
    ("triplet_loss", dict(mining=["semi"]), "`mining` must be one of"),
    ("lifted_loss", dict(convention="book"), "`convention` must be one of"),
    ("contrastive_loss", dict(block_size=0), "`block_size` must be"),
    ("lifted_loss", dict(axis_name="data"), "`axis_name` must be"),
    ("lifted_loss", dict(axis_name=3), "`axis_name` must be"),
    ("lifted_loss", dict(axis_name=()), "`axis_name` must be"),
    (
        "proxy_nca_loss",
        dict(proxies=np.zeros((5, 3), np.float32)),
        "`proxies` must have 4 columns",
    ),
]


@pytest.mark.parametrize(("function", "options", "message"), BAD_CHOICES)
def test_losses_refuse_choices_that_they_do_not_know(function, options, message):
    with pytest.raises(ValueError, match=f"{function}: {message}"):
        getattr(losses, function)(X, LABELS, **options)


def test_a_block_size_may_be_an_integer_of_numpy():
    losses.contrastive_loss(X, LABELS, block_size=np.int64(5))
