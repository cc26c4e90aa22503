"""The PyTorch reference against the original's recorded values and gradients."""

import numpy as np
import pytest
import torch

import torch_ref
from tests.losses.references import (
    GOLDEN,
    GOLDEN_CASES,
    MARGINS,
    REFERENCES,
    golden,
    torch_value_and_grad,
)
from tests.parity import assert_close

RTOL = 1e-12
TOPIC = "torch_ref and the original, float64"


@pytest.mark.parametrize("margin", MARGINS)
@pytest.mark.parametrize("loss", [name for name in REFERENCES if name != "lifted"])
@pytest.mark.parametrize("case", GOLDEN_CASES)
def test_the_reference_equals_the_original(case, loss, margin):
    value, grad = golden(case, loss, margin)
    ours, our_grad = torch_value_and_grad(
        REFERENCES[loss](float(margin)),
        GOLDEN[f"{case}/embeddings"],
        GOLDEN[f"{case}/labels"],
    )
    if np.isnan(value):
        assert np.isnan(ours)
    else:
        assert_close(ours, value, RTOL, TOPIC, label="value")
    np.testing.assert_array_equal(np.isnan(our_grad), np.isnan(grad))
    numbers, expected = np.nan_to_num(our_grad), np.nan_to_num(grad)
    assert_close(numbers, expected, RTOL, TOPIC, label="gradient")


@pytest.mark.parametrize("margin", MARGINS)
@pytest.mark.parametrize("case", GOLDEN_CASES)
def test_the_reference_of_lifted_equals_the_original(case, margin):
    """To 1e-12, but for what rounding leaves on the diagonal.

    The squared distance of an item to itself is rounding noise: about 1e-16 here, 0
    there, by the order in which a machine adds. Its root enters the loss, and the
    root's slope of up to 5e7 multiplies the rounding of that item's gradient.
    """
    x, labels = GOLDEN[f"{case}/embeddings"], GOLDEN[f"{case}/labels"]
    value, grad = golden(case, "lifted", margin)
    module = torch_ref.LiftedLoss(float(margin))
    ours, our_grad = torch_value_and_grad(module, x, labels)
    np.testing.assert_array_equal(np.isnan(our_grad), np.isnan(grad))
    if np.isnan(grad).any():
        return

    noise = torch_ref.squared_distances(torch.tensor(x)).diagonal().numpy()
    clean = noise < 1e-16
    scale = np.abs(grad).max()
    assert np.all(np.abs(our_grad - grad)[clean] <= RTOL * scale)
    assert np.all(np.abs(our_grad - grad)[~clean] <= 1e-7 * scale)
    if abs(ours - value) > RTOL * value:
        assert abs(ours - value) <= 1e-7 * value
        pytest.skip("this machine rounds the diagonal otherwise than the original's")


@pytest.mark.parametrize("case", GOLDEN_CASES)
def test_the_reference_of_proxy_nca_equals_the_original(case):
    key = f"{case}/proxy_nca"
    if f"{key}/loss" not in GOLDEN:
        pytest.skip("the original has no proxies for this case")
    proxies = GOLDEN[f"{key}/proxies"]
    module = torch_ref.ProxyNCA(proxies.shape[1], len(proxies))
    module.proxies.data = torch.tensor(proxies)
    value, grad = torch_value_and_grad(
        module, GOLDEN[f"{case}/embeddings"], GOLDEN[f"{case}/labels"]
    )
    for name, found in (
        ("loss", value),
        ("grad", grad),
        ("proxies_grad", module.proxies.grad),
    ):
        assert_close(found, GOLDEN[f"{key}/{name}"], RTOL, TOPIC, label=name)


MODULES = REFERENCES | {"proxy_nca": lambda margin: torch_ref.ProxyNCA(3, 2)}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("loss", MODULES)
def test_the_reference_follows_the_dtype_of_its_input(loss, dtype):
    x, labels = torch.rand(4, 3, dtype=dtype), torch.tensor([0, 0, 1, 1])
    assert MODULES[loss](0.5)(x, labels).dtype == dtype


def test_the_reference_refuses_unknown_mining():
    with pytest.raises(ValueError, match="mining must be hardest, semi or all"):
        torch_ref.TripletLoss(0.5, mining="hard")
