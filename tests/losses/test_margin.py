"""What the boundaries of the margin loss may be, and what it makes of triplets."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jml.losses import margin_loss
from tests.losses.contract import LABELS, X

pytestmark = pytest.mark.usefixtures("quick_compilation")

RELATED = (LABELS[:, None] == LABELS[None, :]).astype(int)
CLASSES = np.ones(5, np.float32)
ERRORS = [
    (dict(beta=np.ones((2, 2))), r"a number, got float64 \(2, 2\)"),
    (dict(beta=np.ones(5, int)), "floating, got int64"),
    (dict(beta=[1.0, 1.0]), r"an array \[C\] of JAX or NumPy, got a list"),
    (dict(beta=CLASSES[:3]), "a number, got 3; .* got 0 to 4"),
    (
        dict(labels=LABELS - 1, beta=CLASSES),
        "a number, got 5; .* got -1 to 3",
    ),
    (dict(labels=RELATED > 0, beta=CLASSES), "a number, got 5; .* that are integers"),
    (
        dict(labels=None, related=RELATED, beta=CLASSES),
        "a number, got 5; .* that are integers",
    ),
]


@pytest.mark.parametrize(("options", "message"), ERRORS)
def test_a_boundary_is_a_number_or_one_for_each_class(options, message):
    with pytest.raises(ValueError, match=f"margin_loss: `beta` must be {message}"):
        margin_loss(X, **{"labels": LABELS, **options})


def test_items_left_out_need_no_boundary():
    where = LABELS < 3
    found = margin_loss(X, LABELS, beta=CLASSES[:3], where=where)
    np.testing.assert_allclose(found, margin_loss(X[where], LABELS[where], beta=1.0))


def test_the_boundaries_of_classes_pass_the_gradient_of_one_boundary():
    by_number = jax.grad(lambda beta: margin_loss(X, LABELS, beta=beta))(1.0)
    by_class = jax.grad(lambda beta: margin_loss(X, LABELS, beta=beta))(CLASSES)
    assert np.count_nonzero(by_class) > 1
    np.testing.assert_allclose(np.sum(by_class), by_number, rtol=1e-6)


def counted(rows):
    """Each positive in two triplets, each negative in three."""
    times = jnp.where(rows.negative, 3, 2).astype(rows.squared.dtype)
    return rows.keep(rows.positive, rows.negative, times=times)


def test_pairs_count_as_often_as_a_miner_says():
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    distances = np.linalg.norm(unit[:, None] - unit[None], axis=2)
    same = LABELS[:, None] == LABELS[None, :]
    near = np.maximum(distances - 1.2 + 0.2, 0)[same & ~np.eye(len(X), dtype=bool)]
    far = np.maximum(1.2 - distances + 0.2, 0)[~same]
    total = 2 * near.sum() + 3 * far.sum()
    number = 2 * (near > 0).sum() + 3 * (far > 0).sum()
    np.testing.assert_allclose(
        margin_loss(X, LABELS, miner=counted), total / number, rtol=1e-5
    )


def test_an_anchor_of_an_unknown_class_has_no_term():
    """Traced labels cannot be checked before anything runs."""
    each = jax.jit(lambda y: margin_loss(X, y, beta=CLASSES[:3], reduction="none"))
    found, whole = each(LABELS), margin_loss(X, LABELS, beta=1.0, reduction="none")
    np.testing.assert_allclose(found, np.where(LABELS < 3, whole, 0), rtol=1e-6)
