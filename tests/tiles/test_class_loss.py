"""The class core, by the margin softmax: against its definition, in tiles, reduced."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jml import losses
from jml.tiles._cut import Cut, choose_cut, no_gradient, put, take
from tests.parity import assert_close
from tests.tiles.defined import DIM, POINTS, SIZE, batch, compare, define, library

pytestmark = [
    pytest.mark.usefixtures("quick_compilation"),
    pytest.mark.filterwarnings("ignore:[a-z_]*_loss. `labels` of"),
]

NAME = "margin_softmax"
NUMBERS = {"scale": 9.0, "angular": 0.5, "additive": 0.1}
# By classes and centers: the classes of a tile. Each is compiled once.
SHAPES = {(2, 1): None, (1, 1): 1, (17, 1): 4, (12, 3): 5, (30, 1): 10, (40, 3): 7}
# By centers: rows of weights, and the classes of a tile; 1009 has no divisor.
ROWS = {1: (1000, 100), 3: (1009, 200)}


@pytest.mark.parametrize(
    ("shape", "reduction"),
    [
        *((shape, "mean") for shape in SHAPES),
        *(((17, 1), reduction) for reduction in ("nonzero", "sum", "none")),
        ((40, 3), "none"),
    ],
)
@settings(max_examples=6)
@given(
    seed=st.integers(0, 2**32 - 1),
    points=st.sampled_from(list(POINTS)),
    each=st.booleans(),
)
def test_a_class_loss_equals_its_definition(shape, reduction, seed, points, each):
    """Value and gradients, by all that they depend on; margins of one item, too."""
    rng = np.random.default_rng(seed)
    x, weights, labels, where = batch(rng, points, *shape)
    numbers = {k: np.float64(v) for k, v in NUMBERS.items()}
    if each:
        numbers |= {
            k: v + 0.1 * rng.random(SIZE) for k, v in numbers.items() if k[0] == "a"
        }
    arguments = x, weights, numbers, labels, where
    with jax.enable_x64(True):
        found = library(
            "margin_softmax",
            (),
            *arguments,
            block_size=SHAPES[shape],
            reduction=reduction,
        )
    label = f"{shape}, {reduction}, {points}, seed {seed}"
    compare(found, define(NAME, *arguments, reduction), 1e-10, label)


@settings(max_examples=12)
@given(
    classes=st.integers(2, 1000),
    centers=st.sampled_from(list(ROWS)),
    seed=st.integers(0, 2**32 - 1),
    points=st.sampled_from(list(POINTS)),
)
def test_up_to_a_thousand_classes_equal_their_definition(
    classes, centers, seed, points
):
    """They stand anywhere among more rows, so that one program serves all numbers."""
    rng = np.random.default_rng(seed)
    x, weights, labels, where = batch(rng, points, classes, centers)
    numbers = {k: np.float64(v) for k, v in NUMBERS.items()}
    rows, tile = ROWS[centers]
    places = rng.permutation(rows)[:classes]
    padded, names = rng.normal(size=(rows, *weights.shape[1:])), np.full(rows, -1)
    padded[places], names[places] = weights, np.arange(classes)
    with jax.enable_x64(True):
        value, (by_x, by_padded, by_numbers) = library(
            NAME,
            (),
            *(x, padded, numbers, labels, where),
            classes=names,
            block_size=tile,
            reduction="mean",
        )
    label = f"{classes} classes, {centers} centers, {points}, seed {seed}"
    found = value, (by_x, by_padded[places], by_numbers)
    expected = define(NAME, x, weights, numbers, labels, where, "mean")
    compare(found, expected, 1e-10, label)
    assert not np.any(np.asarray(by_padded)[names < 0]), label


@pytest.mark.parametrize("shape", SHAPES)
def test_a_class_loss_in_float32_is_close_to_its_definition(shape):
    rng = np.random.default_rng(0)
    x, weights, labels, where = batch(rng, "normal", *shape)
    numbers = {k: np.float32(v) for k, v in NUMBERS.items()}
    arguments = np.float32(x), np.float32(weights), numbers, labels, where
    found = library(NAME, (), *arguments, block_size=SHAPES[shape], reduction="mean")
    compare(found, define(NAME, *arguments, "mean"), 1e-4, str(shape))


@pytest.mark.parametrize("angle", [0.0, np.pi])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_items_on_their_weights_and_opposite_have_exact_losses(x64, angle, dtype):
    weights = np.eye(3, DIM, dtype=dtype)
    x = np.cos(angle).astype(dtype) * weights

    def loss(x, weights):
        return losses.arcface_loss(x, np.arange(3), weights, scale=4.0)

    value, by = jax.value_and_grad(loss, argnums=(0, 1))(x, weights)
    own = np.cos(0.5) if angle == 0 else -1 - 0.5 * np.sin(0.5)
    expected = np.log(np.exp(4 * own) + 2) - 4 * own
    limit = 1e-4 if dtype == np.float32 else 1e-10
    assert_close(value, expected, limit, label="value")
    assert all(np.all(np.isfinite(g)) for g in by)


@pytest.mark.parametrize(
    ("classes", "items", "block_size"),
    [
        (1, 1, 1),
        (10, 4, 3),
        (7, 2, 2),
        (101, 8, 10),
        (64, 8, None),
        (999_983, 256, None),
    ],
)
def test_a_cut_has_every_class_once(classes, items, block_size):
    cut = choose_cut(classes, items, 1, DIM, block_size)
    turns = [*range(cut.tiles), *[cut.tiles] * bool(cut.rest)]
    assert cut.tiles * cut.size + cut.rest == classes
    if classes > 1000:
        assert cut.size * items < 2**21 and cut.rest < cut.size
        return
    weights = np.arange(classes)[:, None] + np.zeros((1, 2))
    gradient = no_gradient(jnp.asarray(weights), cut)
    for turn in turns:
        part = take(jnp.asarray(weights), jnp.arange(classes), cut, turn)
        np.testing.assert_array_equal(part.weights[:, 0], part.classes)
        gradient = put(gradient, 1 + part.weights, cut, turn)
    np.testing.assert_array_equal(gradient.reshape(weights.shape), 1 + weights)


def test_one_tile_is_taken_where_it_is_small():
    assert choose_cut(1000, 256, 1, 128, None) == Cut(1, 1000)
    assert choose_cut(1000, 256, 1, 128, 1000) == Cut(1, 1000)


def test_second_derivatives_equal_differences(x64):
    rng = np.random.default_rng(1)
    x, weights, labels, where = batch(rng, "normal", 12, 3)
    along = rng.normal(size=x.shape), rng.normal(size=weights.shape)

    @jax.jit
    def gradient(x, weights):
        return jax.grad(
            lambda x, w: losses.arcface_loss(
                x, labels, w, scale=5.0, where=where, block_size=5
            ),
            argnums=(0, 1),
        )(x, weights)

    found = jax.jvp(gradient, (x, weights), along)[1]
    step = 1e-6
    ahead, behind = (
        gradient(x + s * along[0], weights + s * along[1]) for s in (step, -step)
    )
    for a, b, c in zip(found, ahead, behind, strict=True):
        assert_close(a, (b - c) / (2 * step), 1e-6, label="curvature")


def test_classes_name_the_rows_of_weights():
    rng = np.random.default_rng(2)
    x, weights, labels, where = batch(rng, "normal", 17, 1)
    order = rng.permutation(17)
    found = losses.arcface_loss(x, labels, weights[order], classes=order, where=where)
    expected = losses.arcface_loss(x, labels, weights, where=where)
    assert_close(found, expected, 1e-6, label="another order")
    padded = np.concatenate([weights, np.ones((3, DIM))])
    classes = np.where(np.arange(20) < 17, np.arange(20), -1)
    found = losses.arcface_loss(x, labels, padded, classes=classes, where=where)
    assert_close(found, expected, 1e-6, label="absent rows")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(weights=np.zeros((5, 3), np.float32)), "`weights` must have 4 columns"),
        (dict(weights=np.zeros(5, np.float32)), "`weights` must have shape"),
        (dict(weights=np.zeros((5, 4), int)), "`weights` must be floating"),
        (dict(weights=np.zeros((5, 0, 4), np.float32)), "`weights` must have a center"),
        (dict(classes=np.arange(4)), "`classes` must have one entry for each of the 5"),
        (dict(classes=np.ones(5)), "`classes` must be integer"),
        (dict(margin=np.ones(3)), "`margin` must be a number, or an array of one for"),
        (dict(margin=[0.5] * 9), "`margin` must be a number, or an array .* a list"),
        (dict(margin=28.6), "`margin` is an angle in radians, at most pi, got 28.6"),
        (dict(labels=np.ones(9)), "`labels` must be integer"),
        (dict(block_size=0), "`block_size` must be a positive integer"),
        (dict(class_axis_name="x"), "`class_axis_name` must be an axis"),
        (dict(reduction="all"), "`reduction` must be one of"),
    ],
)
def test_what_a_class_loss_cannot_use_is_refused(options, message):
    given = {
        "embeddings": np.ones((SIZE, DIM), np.float32),
        "labels": np.zeros(SIZE, int),
        "weights": np.ones((5, DIM), np.float32),
    }
    with pytest.raises(ValueError, match=f"^arcface_loss: {message}"):
        losses.arcface_loss(**(given | options))


def test_labels_without_weights_are_warned_of():
    x, weights = np.eye(2, DIM, dtype=np.float32), np.eye(3, DIM, dtype=np.float32)
    with pytest.warns(UserWarning, match="cosface_loss: `labels` of 3 and above"):
        losses.cosface_loss(x, np.array([0, 3]), weights)


@pytest.mark.parametrize(
    ("name", "dtypes"),
    [
        ("arcface", (jnp.bfloat16, jnp.bfloat16)),
        ("adaface", (jnp.float32, jnp.float64)),
        ("magface", (jnp.float32, jnp.float32)),
    ],
)
def test_losses_of_classes_need_no_implicit_promotion(x64, name, dtypes):
    x, weights = (jnp.ones((3, DIM), dtype) for dtype in dtypes)
    loss = partial(getattr(losses, f"{name}_loss"), labels=np.arange(3))
    with jax.numpy_dtype_promotion("strict"):
        by = jax.grad(lambda x, w: loss(x, weights=w), argnums=(0, 1))(x, weights)
    assert tuple(g.dtype for g in by) == dtypes
