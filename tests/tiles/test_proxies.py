"""The losses of proxies, each against its definition and PML's."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning import losses as pml

from jml import losses
from jml.tiles import ClassBatch, Columns, class_loss
from tests.parity import assert_close
from tests.tiles.defined import DIM, POINTS, SIZE, batch, compare, define

pytestmark = [
    pytest.mark.usefixtures("quick_compilation"),
    pytest.mark.filterwarnings("ignore:[a-z_]*_loss. `labels` of"),
]

ANCHOR = {"margin": 0.1, "alpha": 32.0}
OWN = {"own_in_denominator": True}
# By case: loss, classes, those of a tile, numbers, further options.
CASES = {
    "proxy_anchor": ("proxy_anchor", 17, 5, ANCHOR, {}),
    "proxy_anchor, of one class": ("proxy_anchor", 1, None, ANCHOR, {}),
    "proxy_nca": ("proxy_nca", 17, 5, {"scale": 3.0}, {}),
    "proxy_nca, with its own": ("proxy_nca", 17, 5, {"scale": 3.0}, OWN),
}


@partial(jax.jit, static_argnames=("name", "words", "block_size"))
def library(name, words, x, proxies, numbers, labels, where, block_size=None):
    """Words are static options of the loss, as pairs."""

    def loss(x, proxies, numbers):
        return getattr(losses, f"{name}_loss")(
            x,
            labels,
            proxies,
            where=where,
            block_size=block_size,
            **numbers,
            **dict(words),
        )

    return jax.value_and_grad(loss, argnums=(0, 1, 2))(x, proxies, numbers)


def of_case(case, rng, points):
    """The arguments of `library`, and of `define`."""
    name, classes, block_size, numbers, words = CASES[case]
    x, proxies, labels, where = batch(rng, points, classes, 1)
    numbers = {k: np.float64(v) for k, v in numbers.items()}
    arguments = x, proxies, numbers, labels, where
    found = partial(library, name, tuple(words.items()), block_size=block_size)
    reduction = "sum" if name == "proxy_anchor" else "mean"
    return found, partial(define, name, reduction=reduction, **words), arguments


@pytest.mark.parametrize("case", CASES)
@settings(max_examples=6)
@given(seed=st.integers(0, 2**32 - 1), points=st.sampled_from(list(POINTS)))
def test_a_loss_of_proxies_equals_its_definition(case, seed, points):
    found, expected, arguments = of_case(case, np.random.default_rng(seed), points)
    with jax.enable_x64(True):
        found = found(*arguments)
    compare(found, expected(*arguments), 1e-10, f"{case}, {points}, seed {seed}")


def test_proxy_anchor_in_float32_is_close_to_its_definition():
    rng = np.random.default_rng(0)
    found, expected, arguments = of_case("proxy_anchor", rng, "normal")
    x, proxies, numbers, *rest = arguments
    numbers = {k: np.float32(v) for k, v in numbers.items()}
    given = np.float32(x), np.float32(proxies), numbers, *rest
    compare(found(*given), expected(*arguments), 1e-4, "float32")


@pytest.mark.parametrize(
    ("module", "name", "options"),
    [
        (pml.ProxyAnchorLoss, "proxy_anchor", {}),
        (partial(pml.ProxyNCALoss, softmax_scale=3), "proxy_nca", OWN | {"scale": 3.0}),
    ],
)
def test_losses_of_proxies_are_those_of_pml(x64, module, name, options):
    rng = np.random.default_rng(0)
    x, proxies = rng.normal(size=(SIZE, DIM)), rng.normal(size=(12, DIM))
    labels = rng.integers(0, 12, SIZE)
    module = module(12, DIM)
    module.proxies = torch.nn.Parameter(torch.tensor(proxies))
    at = torch.tensor(x, requires_grad=True)
    module(at, torch.tensor(labels)).backward()
    loss = partial(getattr(losses, f"{name}_loss"), **options)
    value, by = jax.value_and_grad(loss, argnums=(0, 2))(x, labels, proxies)
    assert_close(value, module(at, torch.tensor(labels)).item(), 1e-12, label=name)
    for a, b in zip(by, (at.grad, module.proxies.grad), strict=True):
        assert_close(a, b.numpy(), 1e-10, label=name)


def test_rows_without_a_class_and_batches_without_an_item_count_nowhere():
    rng = np.random.default_rng(1)
    x, proxies, labels, where = batch(rng, "normal", 17, 1)
    expected = losses.proxy_anchor_loss(x, labels, proxies, where=where)
    padded = np.concatenate([proxies, np.ones((3, DIM))])[::-1].copy()
    classes = np.where(np.arange(20) < 17, np.arange(20), -1)[::-1].copy()
    found = losses.proxy_anchor_loss(
        x, labels, padded, where=where, classes=classes, block_size=6
    )
    assert_close(found, expected, 1e-6, label="padded")
    nothing = np.zeros(SIZE, bool)
    value, by = jax.value_and_grad(losses.proxy_anchor_loss, argnums=(0, 2))(
        x, labels, proxies, where=nothing
    )
    assert value == 0 and not any(np.any(g) for g in by)
    assert losses.proxy_anchor_loss(x[:0], labels[:0], proxies) == 0


def test_second_derivatives_of_proxy_anchor_equal_differences(x64):
    rng = np.random.default_rng(2)
    x, proxies, labels, where = batch(rng, "normal", 12, 1)
    along = rng.normal(size=x.shape), rng.normal(size=proxies.shape)

    @jax.jit
    def gradient(x, proxies):
        return jax.grad(
            lambda x, p: losses.proxy_anchor_loss(
                x, labels, p, alpha=4.0, where=where, block_size=5
            ),
            argnums=(0, 1),
        )(x, proxies)

    found = jax.jvp(gradient, (x, proxies), along)[1]
    step = 1e-6
    ahead, behind = (
        gradient(x + s * along[0], proxies + s * along[1]) for s in (step, -step)
    )
    for a, b, c in zip(found, ahead, behind, strict=True):
        assert_close(a, (b - c) / (2 * step), 1e-6, label="curvature")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("proxy_nca", dict(own_in_denominator=1), "`own_in_denominator` must be one"),
        ("proxy_nca", dict(proxies=np.ones((5, 2, DIM))), "`proxies` must have shape"),
        ("proxy_nca", dict(classes=np.arange(4)), "`classes` must have .* `proxies`"),
        (
            "proxy_anchor",
            dict(proxies=np.ones((5, 3))),
            "`proxies` must have 4 columns",
        ),
        ("proxy_anchor", dict(alpha="a"), "`alpha` must be a number"),
        (
            "proxy_anchor",
            dict(class_axis_name="x"),
            "`class_axis_name` must be an axis",
        ),
    ],
)
def test_what_losses_of_proxies_cannot_use_is_refused(name, options, message):
    given = {
        "embeddings": np.ones((SIZE, DIM), np.float32),
        "labels": np.zeros(SIZE, int),
        "proxies": np.ones((5, DIM), np.float32),
    }
    with pytest.raises(ValueError, match=f"^{name}_loss: {message}"):
        getattr(losses, f"{name}_loss")(**(given | options))


def test_a_loss_of_columns_is_reduced_by_the_mean_alone():
    batch = ClassBatch(jnp.ones((2, 3)), jnp.zeros(2, int), jnp.ones((4, 3)))
    with pytest.raises(ValueError, match="my_loss: a loss of columns has no `each`"):
        class_loss("my_loss", Columns(lambda tile: []), batch, {}, reduction="sum")
