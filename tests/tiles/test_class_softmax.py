"""The losses that are a softmax over classes, each against its definition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jml import losses
from jml.losses import Lengths, init_lengths, update_lengths
from tests.parity import assert_close
from tests.tiles.defined import DIM, POINTS, SIZE, batch, compare, define, library

pytestmark = [
    pytest.mark.usefixtures("quick_compilation"),
    pytest.mark.filterwarnings("ignore:[a-z_]*_loss. `labels` of"),
]

KEY = jax.random.key(5)
LENGTHS = Lengths(2.0, 1.5)
MAGFACE = {
    "scale": 9.0,
    "min_margin": 0.2,
    "max_margin": 0.6,
    "min_length": 1.0,
    "max_length": 2.5,
    "regularization": 1.5,
}
ADAFACE = {"scale": 9.0, "margin": 0.4, "concentration": 0.9}
ELASTIC = {"scale": 9.0, "margin": 0.4, "deviation": 0.2}
SMOOTHED = {"scale": 9.0, "angular": 0.5, "additive": 0.1, "label_smoothing": 0.2}
SOFT_TRIPLE = {"scale": 9.0, "gamma": 0.1, "margin": 0.1, "regularization": 0.3}
# By case: loss, classes and centers, reduction, numbers, further options.
CASES = {
    "smoothed": ("margin_softmax", (17, 1), "mean", SMOOTHED, {}),
    "smoothed, of one class": ("margin_softmax", (1, 1), "none", SMOOTHED, {}),
    "magface": ("magface", (17, 1), "mean", MAGFACE, {}),
    "magface, each": ("magface", (12, 3), "none", MAGFACE, {}),
    "adaface": ("adaface", (17, 1), "mean", ADAFACE, {}),
    "adaface, known": ("adaface", (12, 3), "mean", ADAFACE, {"lengths": LENGTHS}),
    "elastic angles": ("elasticface", (17, 1), "mean", ELASTIC, {}),
    "elastic angles, plus": ("elasticface", (12, 3), "mean", ELASTIC, {"plus": True}),
    "elastic cosines": (
        "elasticface",
        (17, 1),
        "mean",
        ELASTIC,
        {"margin_kind": "additive"},
    ),
    "soft_triple": ("soft_triple", (12, 3), "mean", SOFT_TRIPLE, {}),
    "soft_triple, one center": ("soft_triple", (17, 1), "sum", SOFT_TRIPLE, {}),
}


@pytest.mark.parametrize("case", CASES)
@settings(max_examples=6)
@given(seed=st.integers(0, 2**32 - 1), points=st.sampled_from(list(POINTS)))
def test_a_softmax_over_classes_equals_its_definition(case, seed, points):
    name, shape, reduction, numbers, words = CASES[case]
    rng = np.random.default_rng(seed)
    x, weights, labels, where = batch(rng, points, *shape)
    numbers = {k: np.float64(v) for k, v in numbers.items()}
    arguments = x, weights, numbers, labels, where
    options = {k: v for k, v in words.items() if k == "lengths"}
    static = tuple((k, v) for k, v in words.items() if k != "lengths")
    more = dict(words)
    with jax.enable_x64(True):
        if name == "elasticface":
            options["key"] = KEY
            more = {"draw": np.asarray(jax.random.normal(KEY, (SIZE,)))}
            more["kind"] = words.get("margin_kind", "angular")
            more["plus"] = words.get("plus", False)
        found = library(
            name, static, *arguments, block_size=5, reduction=reduction, **options
        )
    label = f"{case}, {points}, seed {seed}"
    compare(found, define(name, *arguments, reduction, **more), 1e-10, label)


def test_smoothed_labels_have_the_loss_that_pytorch_has(x64):
    """Of a softmax without margins."""
    import torch

    rng = np.random.default_rng(0)
    x, weights = rng.normal(size=(SIZE, DIM)), rng.normal(size=(17, DIM))
    labels = rng.integers(0, 17, SIZE)
    found = losses.normalized_softmax_loss(
        x, labels, weights, temperature=0.1, label_smoothing=0.3
    )
    cosines = torch.tensor(np.asarray(losses.logits(x, weights)))
    expected = torch.nn.functional.cross_entropy(
        cosines / 0.1, torch.tensor(labels), label_smoothing=0.3
    )
    assert_close(found, expected, 1e-12, label="smoothing")


def test_lengths_run_towards_those_of_each_batch(x64):
    rng = np.random.default_rng(1)
    x, where = 40 * rng.normal(size=(30, DIM)), rng.random(30) < 0.7
    lengths = np.clip(np.linalg.norm(x[where], axis=1), None, 100)
    found = update_lengths(init_lengths(), x, where=where, rate=0.1)
    expected = 0.9 * 20 + 0.1 * lengths.mean(), 0.9 * 100 + 0.1 * lengths.std(ddof=1)
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == jnp.float32 or a.dtype == jnp.float64
        assert_close(a, b, 1e-6, label="lengths")
    same = update_lengths(init_lengths(), x, where=np.zeros(30, bool))
    assert same == init_lengths()


def test_one_length_has_no_deviation():
    x = np.array([[3.0, 4.0]], np.float32)
    assert float(update_lengths(init_lengths(), x, rate=1.0).deviation) == 0


def test_larger_margins_go_to_items_farther_from_their_class(x64):
    """So the loss is larger than with the same draws in any other order."""
    rng = np.random.default_rng(2)
    x, weights = rng.normal(size=(SIZE, DIM)), np.eye(2, DIM)
    labels = np.zeros(SIZE, int)
    drawn = [
        losses.elasticface_loss(
            x, labels, weights, key=KEY, deviation=0.2, plus=plus, reduction="none"
        )
        for plus in (False, True)
    ]
    assert drawn[0].sum() != drawn[1].sum()
    cosines = np.asarray(losses.logits(x, weights))[:, 0]
    draws = np.sort(np.asarray(jax.random.normal(KEY, (SIZE,))))
    far_last = np.argsort(-cosines)
    margins = np.empty(SIZE)
    margins[far_last] = 0.5 + 0.2 * draws
    expected = losses.arcface_loss(x, labels, weights, margin=margins, reduction="none")
    assert_close(drawn[1], expected, 1e-12, label="plus")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("adaface", dict(lengths=(1.0, 2.0)), "`lengths` must be from `init_lengths`"),
        ("adaface", dict(concentration="a"), "`concentration` must be a number"),
        ("adaface", dict(embeddings=np.ones(4)), "`embeddings` must have shape"),
        ("magface", dict(min_length="a"), "`min_length` must be a number"),
        ("magface", dict(where=np.ones(3, bool)), "`where` must have one entry"),
        ("elasticface", dict(key=3), "`key` must be a key"),
        ("elasticface", dict(plus=1), "`plus` must be one of"),
        ("elasticface", dict(margin_kind="arc"), "`margin_kind` must be one of"),
        ("soft_triple", dict(label_smoothing="a"), "`label_smoothing` must be"),
    ],
)
def test_what_a_softmax_over_classes_cannot_use_is_refused(
    any_arguments, name, options, message
):
    given = {
        "embeddings": np.ones((SIZE, DIM), np.float32),
        "labels": np.zeros(SIZE, int),
        "weights": np.ones((5, DIM), np.float32),
    }
    with pytest.raises(ValueError, match=f"^{name}_loss: {message}"):
        getattr(losses, f"{name}_loss")(**(given | options))
