"""`jml.losses` against `torch_ref`: recorded cases and Hypothesis-made ones."""

import jax
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import torch_ref
from jml import losses
from tests.losses.cases import value_and_grad
from tests.losses.references import (
    GOLDEN,
    GOLDEN_CASES,
    MARGINS,
    REFERENCES,
    exact_squared_distances,
    golden,
    torch_value_and_grad,
)
from tests.parity import assert_close

pytestmark = pytest.mark.usefixtures("quick_compilation")

# Compilation takes most of the time here: these shapes are tried as they are, and all
# others are padded to one, with items that are absent and with coordinates of 0.
SHAPES = [(2, 3), (7, 4), (64, 16)]
PADDED = (64, 32)
slow = pytest.mark.slow
SIZES, DIMS = st.integers(2, 64), st.sampled_from([1, 8])


def golden_cases(is_slow):
    """Of those compiled for one shape, all are as quick as one."""
    return pytest.mark.parametrize(
        "case",
        [
            pytest.param(case, marks=slow if is_slow(case) else ())
            for case in GOLDEN_CASES
        ],
    )


every_case = golden_cases(lambda case: GOLDEN[f"{case}/labels"].shape == (2,))


@pytest.fixture(autouse=True)
def exact_zeros(monkeypatch):
    monkeypatch.setattr(torch_ref.losses, "squared_distances", exact_squared_distances)
    monkeypatch.setattr(
        torch_ref.distances, "squared_distances", exact_squared_distances
    )


def check(name, x, labels, margin, **options):
    """Compares values and gradients, but where the original breaks."""
    double = x.dtype == np.float64
    limit, topic = (1e-10, "float64") if double else (1e-4, "float32")
    module = REFERENCES[name](margin)
    expected, expected_grad = torch_value_and_grad(
        module, np.asarray(x, np.float64), labels
    )
    value, grad = evaluate(name, x, labels, margin, **options)
    assert grad.dtype == x.dtype
    no_negative = len(set(labels.tolist())) == 1
    if (no_negative and name != "contrastive") or not np.isfinite(expected):
        assert value == 0
        assert not np.any(grad)
    else:
        label = f"{name}, {x.shape}, margin {margin}"
        assert_close(value, expected, limit, f"losses, {topic}", label=label)
        topic, label = f"losses' gradients, {topic}", f"gradient of {label}"
        assert_close(grad, expected_grad, limit, topic, label=label)


def evaluate(name, x, labels, margin, **options):
    """Value and gradient; all but `SHAPES` share one compilation."""
    size, dim = x.shape
    labels = labels.astype(np.int32)  # of int64 all would be compiled once more
    if x.shape not in SHAPES:
        options["where"] = np.arange(PADDED[0]) < size
        x = np.pad(x, [(0, PADDED[0] - size), (0, PADDED[1] - dim)])
        labels = np.pad(labels, (0, PADDED[0] - size))
    value, grad = value_and_grad(name, x, labels, margin, **options)
    grad = np.asarray(grad)  # of which JAX would compile each slice
    assert not np.any(grad[size:])
    assert not np.any(grad[:, dim:])
    return value, grad[:size, :dim]


@pytest.mark.parametrize("margin", MARGINS)
@pytest.mark.parametrize("name", REFERENCES)
@every_case
def test_golden_float64(x64, case, name, margin):
    x, labels = GOLDEN[f"{case}/embeddings"], GOLDEN[f"{case}/labels"]
    check(name, x, labels, float(margin))


@pytest.mark.slow
@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize("case", GOLDEN_CASES)
def test_golden_float32(case, name):
    x, labels = GOLDEN[f"{case}/embeddings"], GOLDEN[f"{case}/labels"]
    check(name, x.astype(np.float32), labels.astype(np.int32), 0.5)


@pytest.mark.parametrize("margin", MARGINS)
@pytest.mark.parametrize("name", [name for name in REFERENCES if name != "lifted"])
@every_case
def test_losses_equal_the_recorded_values(x64, case, name, margin):
    """Straight against the file; lifted needs the exact zeros that the file lacks."""
    x, labels = GOLDEN[f"{case}/embeddings"], GOLDEN[f"{case}/labels"]
    expected, expected_grad = golden(case, name, margin)
    value, grad = evaluate(name, x, labels, float(margin))
    if len(set(labels.tolist())) > 1 or name == "contrastive":
        label = f"{name}, {case}, margin {margin}"
        assert_close(value, expected, 1e-10, label=label)
        assert_close(grad, expected_grad, 1e-10, label=f"gradient of {label}")


@st.composite
def batches(draw):
    """Points of a lattice, whose distances are exact: ties and zeros on both sides.

    Any size, most of them padded.
    """
    size, dim = draw(st.one_of(st.sampled_from(SHAPES), st.tuples(SIZES, DIMS)))
    points = draw(arrays(np.int8, (size, dim), elements=st.integers(-3, 3)))
    classes = draw(st.integers(1, size))
    labels = draw(arrays(np.int32, size, elements=st.integers(0, classes - 1)))
    return points, labels * draw(st.sampled_from([1, -7, 2**26]))


@pytest.mark.slow
@pytest.mark.parametrize("name", REFERENCES)
@settings(max_examples=60)
@given(
    batch=batches(),
    exponent=st.integers(-30, 8),
    margin=st.sampled_from([0.1, 0.5, 1.0, 4.0]),
)
def test_losses_equal_pytorch_on_lattices_float64(name, batch, exponent, margin):
    points, labels = batch
    with jax.enable_x64(True):
        check(name, points * 2.0**exponent, labels, margin)


@pytest.mark.slow
@pytest.mark.parametrize("name", REFERENCES)
@settings(max_examples=40)
@given(batch=batches(), margin=st.sampled_from([0.25, 1.0]))
def test_losses_equal_pytorch_on_lattices_float32(name, batch, margin):
    points, labels = batch
    check(name, points.astype(np.float32) / 4, labels, margin)


@pytest.mark.slow
@pytest.mark.parametrize("name", REFERENCES)
@settings(max_examples=40)
@given(
    size=SIZES,
    seed=st.integers(0, 2**32 - 1),
    classes=st.integers(1, 12),
)
def test_losses_equal_pytorch_on_random_batches_float64(name, size, seed, classes):
    """Rounding breaks every tie here; the lattices above have the ties."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(size, 8))
    labels = rng.integers(0, classes, size)
    with jax.enable_x64(True):
        check(name, x, labels, 0.5)
        check(name, x, labels, 0.5, block_size=20)


def proxy_reference(x, labels, proxies, scale):
    """Value, gradient and gradient of the proxies."""
    module = torch_ref.ProxyNCA(proxies.shape[1], len(proxies), scale)
    module.proxies.data = torch.tensor(proxies)
    value, grad = torch_value_and_grad(module, x, labels)
    return value, grad, module.proxies.grad.numpy()


def check_long_rows(x, grad, expected, limit):
    """PyTorch's gradient down to the floor of the norm; below, 0 in place of 1e12."""
    grad = np.asarray(grad)
    long = np.linalg.norm(x, axis=1) > 1e-12
    assert not np.any(grad[~long])
    assert_close(grad[long], expected[long], limit, label="proxy_nca, by embeddings")


proxy_value_and_grad = jax.jit(
    jax.value_and_grad(losses.proxy_nca_loss, argnums=(0, 2))
)


@golden_cases(lambda case: case not in ("duplicates", "pk8x4_raw"))
def test_proxy_nca_equals_the_recorded_values(x64, case):
    key = f"{case}/proxy_nca"
    if f"{key}/loss" not in GOLDEN:
        pytest.skip("the original has no proxies for this case")
    value, (grad, proxies_grad) = proxy_value_and_grad(
        GOLDEN[f"{case}/embeddings"],
        GOLDEN[f"{case}/labels"],
        GOLDEN[f"{key}/proxies"],
    )
    assert_close(value, GOLDEN[f"{key}/loss"], 1e-10, label=key)
    check_long_rows(GOLDEN[f"{case}/embeddings"], grad, GOLDEN[f"{key}/grad"], 1e-10)
    expected, label = GOLDEN[f"{key}/proxies_grad"], f"{key}, by proxies"
    assert_close(proxies_grad, expected, 1e-10, label=label)


@pytest.mark.slow
@settings(max_examples=40)
@given(
    shape=st.sampled_from([shape for shape in SHAPES if shape[1] > 1]),
    seed=st.integers(0, 2**32 - 1),
    exponent=st.integers(-45, 30),
    scale=st.sampled_from([1.0, 12.0]),
    double=st.booleans(),
)
def test_proxy_nca_equals_pytorch_on_random_batches(
    shape, seed, exponent, scale, double
):
    """Down to rows shorter than the floor of the norm, rows of zeros included."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape) * 2.0**exponent
    x[0] = 0
    proxies = rng.normal(size=(9, shape[1]))
    labels = rng.integers(0, 9, len(x))
    dtype, rtol = (np.float64, 1e-10) if double else (np.float32, 1e-4)
    x, proxies = x.astype(dtype), proxies.astype(dtype)
    doubles = x.astype(np.float64), labels, proxies.astype(np.float64)
    expected = proxy_reference(*doubles, scale)
    with jax.enable_x64(double):
        value, (grad, proxies_grad) = proxy_value_and_grad(
            x, labels, proxies, scale=scale
        )
    label = f"proxy_nca, {shape}, {dtype.__name__}"
    assert_close(value, expected[0], rtol, label=label)
    check_long_rows(doubles[0], grad, expected[1], rtol)
    assert_close(proxies_grad, expected[2], rtol, label=f"{label}, by proxies")
