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
from tests.losses.cases import (
    GOLDEN,
    GOLDEN_CASES,
    MARGINS,
    PAIR_LOSSES,
    REFERENCES,
    assert_close,
    exact_squared_distances,
    golden,
    torch_value_and_grad,
    value_and_grad,
)

SHAPES = [(2, 3), (3, 1), (7, 4), (16, 8), (33, 5), (64, 16)]


@pytest.fixture(autouse=True)
def exact_zeros(monkeypatch):
    monkeypatch.setattr(torch_ref.losses, "squared_distances", exact_squared_distances)
    monkeypatch.setattr(
        torch_ref.distances, "squared_distances", exact_squared_distances
    )


def check(name, x, labels, margin, rtol, block_size=None):
    """Compares values and gradients, but where the original breaks."""
    module = REFERENCES[name](margin)
    expected, expected_grad = torch_value_and_grad(
        module, np.asarray(x, np.float64), labels
    )
    value, grad = value_and_grad(name, x, labels, margin, block_size=block_size)
    assert grad.dtype == x.dtype
    no_negative = len(set(labels.tolist())) == 1
    if (no_negative and name != "contrastive") or not np.isfinite(expected):
        assert value == 0
        assert not np.any(grad)
    else:
        assert_close(value, expected, rtol)
        assert_close(grad, expected_grad, rtol)


@pytest.mark.parametrize("margin", MARGINS)
@pytest.mark.parametrize("name", PAIR_LOSSES)
@pytest.mark.parametrize("case", GOLDEN_CASES)
def test_golden_float64(x64, case, name, margin):
    x, labels = GOLDEN[f"{case}/embeddings"], GOLDEN[f"{case}/labels"]
    check(name, x, labels, float(margin), rtol=1e-10)


@pytest.mark.parametrize("name", PAIR_LOSSES)
@pytest.mark.parametrize("case", GOLDEN_CASES)
def test_golden_float32(case, name):
    x, labels = GOLDEN[f"{case}/embeddings"], GOLDEN[f"{case}/labels"]
    check(name, x.astype(np.float32), labels.astype(np.int32), 0.5, rtol=1e-4)


@pytest.mark.parametrize("margin", MARGINS)
@pytest.mark.parametrize("name", [name for name in PAIR_LOSSES if name != "lifted"])
@pytest.mark.parametrize("case", GOLDEN_CASES)
def test_recorded_values(x64, case, name, margin):
    """Straight against the file; lifted needs the exact zeros that the file lacks."""
    x, labels = GOLDEN[f"{case}/embeddings"], GOLDEN[f"{case}/labels"]
    expected, expected_grad = golden(case, name, margin)
    value, grad = value_and_grad(name, x, labels, float(margin))
    if len(set(labels.tolist())) > 1 or name == "contrastive":
        assert_close(value, expected, 1e-10)
        assert_close(grad, expected_grad, 1e-10)


@st.composite
def batches(draw):
    """Points of a lattice, whose distances are exact: ties and zeros on both sides."""
    size, dim = draw(st.sampled_from(SHAPES))
    points = draw(arrays(np.int8, (size, dim), elements=st.integers(-3, 3)))
    classes = draw(st.integers(1, size))
    labels = draw(arrays(np.int32, size, elements=st.integers(0, classes - 1)))
    return points, labels * draw(st.sampled_from([1, -7, 2**26]))


@pytest.mark.parametrize("name", PAIR_LOSSES)
@settings(max_examples=60)
@given(
    batch=batches(),
    exponent=st.integers(-30, 8),
    margin=st.sampled_from([0.1, 0.5, 1.0, 4.0]),
)
def test_lattices_float64(name, batch, exponent, margin):
    points, labels = batch
    with jax.enable_x64(True):
        check(name, points * 2.0**exponent, labels, margin, rtol=1e-10)


@pytest.mark.parametrize("name", PAIR_LOSSES)
@settings(max_examples=40)
@given(batch=batches(), margin=st.sampled_from([0.25, 1.0]))
def test_lattices_float32(name, batch, margin):
    points, labels = batch
    check(name, points.astype(np.float32) / 4, labels, margin, rtol=1e-4)


@pytest.mark.parametrize("name", PAIR_LOSSES)
@settings(max_examples=40)
@given(
    shape=st.sampled_from(SHAPES),
    seed=st.integers(0, 2**32 - 1),
    classes=st.integers(1, 12),
)
def test_random_float64(name, shape, seed, classes):
    """Rounding breaks every tie here; the lattices above have the ties."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    labels = rng.integers(0, classes, len(x))
    with jax.enable_x64(True):
        check(name, x, labels, 0.5, rtol=1e-10)
        check(name, x, labels, 0.5, rtol=1e-10, block_size=5)


def proxy_reference(x, labels, proxies, scale):
    """Value, gradient and gradient of the proxies."""
    module = torch_ref.ProxyNCA(proxies.shape[1], len(proxies), scale)
    module.proxies.data = torch.tensor(proxies)
    value, grad = torch_value_and_grad(module, x, labels)
    return value, grad, module.proxies.grad.numpy()


proxy_value_and_grad = jax.jit(
    jax.value_and_grad(losses.proxy_nca_loss, argnums=(0, 2))
)


@pytest.mark.parametrize("case", GOLDEN_CASES)
def test_proxy_nca_golden(x64, case):
    key = f"{case}/proxy_nca"
    if f"{key}/loss" not in GOLDEN:
        pytest.skip("the original has no proxies for this case")
    value, (grad, proxies_grad) = proxy_value_and_grad(
        GOLDEN[f"{case}/embeddings"],
        GOLDEN[f"{case}/labels"],
        GOLDEN[f"{key}/proxies"],
    )
    assert_close(value, GOLDEN[f"{key}/loss"], 1e-10)
    assert_close(grad, GOLDEN[f"{key}/grad"], 1e-10)
    assert_close(proxies_grad, GOLDEN[f"{key}/proxies_grad"], 1e-10)


@settings(max_examples=40)
@given(
    shape=st.sampled_from([shape for shape in SHAPES if shape[1] > 1]),
    seed=st.integers(0, 2**32 - 1),
    exponent=st.integers(-45, 30),
    scale=st.sampled_from([1.0, 12.0]),
    double=st.booleans(),
)
def test_proxy_nca_random(shape, seed, exponent, scale, double):
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
    for ours, theirs in zip((value, grad, proxies_grad), expected, strict=True):
        assert_close(ours, theirs, rtol)
