"""Optimisers and schedules equal PyTorch's, or their papers where it has none."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch

from jml.app._objective import Hyper
from jml.training import Rates, make_optimizer, schedule_factor
from jml.training._optimizers import OPTIMIZERS, SCHEDULES

STEPS, SIZE = 12, 7
RATES = Rates(
    lr=0.03,
    head_lr=0.1,
    proxies_lr=0.3,
    weight_decay=0.05,
    momentum=0.8,
    decay_gamma=0.5,
    decay_iter_step=5,
    maxiter=STEPS,
)
TORCH = {
    "adam": lambda p: torch.optim.Adam(p, weight_decay=0.05),
    "adamw": lambda p: torch.optim.AdamW(p, weight_decay=0.05),
    "rmsprop": lambda p: torch.optim.RMSprop(p, weight_decay=0.05, momentum=0.8),
    "sgd": lambda p: torch.optim.SGD(p, weight_decay=0.05, momentum=0.8),
}


@pytest.fixture
def start():
    rng = np.random.default_rng(0)
    params = {name: rng.normal(size=SIZE) for name in ("body", "head", "proxies")}
    gradients = [
        {name: rng.normal(size=SIZE) * 10 ** rng.normal() for name in params}
        for _ in range(STEPS)
    ]
    return params, gradients


LABELS = {"body": "lr", "head": "head_lr", "proxies": "proxies_lr"}


def trained(start, rates=RATES, **options):
    params, gradients = jax.tree.map(jnp.asarray, start)
    optimizer = make_optimizer(LABELS, **options)
    state = optimizer.init(params)

    @jax.jit
    def step(params, state, gradient, number, rates):
        hyper = Hyper(rates, loss={})
        updates, state = optimizer.update(
            gradient, state, params, hyper=hyper, step=number
        )
        return optax.apply_updates(params, updates), state

    for number, gradient in enumerate(gradients):
        params, state = step(params, state, gradient, number, rates)
    assert step._cache_size() == 1
    return params


def close(found, expected):
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", TORCH)
def test_an_optimizer_that_pytorch_has_equals_it(x64, start, name):
    params = {k: torch.tensor(v, requires_grad=True) for k, v in start[0].items()}
    groups = [
        {"params": [params[k]], "lr": getattr(RATES, rate)}
        for k, rate in LABELS.items()
    ]
    optimizer = TORCH[name](groups)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=5, gamma=0.5)
    for gradient in start[1]:
        for key, parameter in params.items():
            parameter.grad = torch.tensor(gradient[key])
        optimizer.step()
        schedule.step()
    found = trained(start, optimizer=name)
    close(found, {k: v.detach().numpy() for k, v in params.items()})


def lion(p, g, m, lr):
    update = np.sign(0.9 * m + 0.1 * g) + RATES.weight_decay * p
    return p - lr * update, 0.99 * m + 0.01 * g


@pytest.mark.parametrize("name", ["lion", "lamb"])
def test_an_optimizer_that_pytorch_lacks_equals_its_formula(x64, start, name):
    expected = dict(start[0])
    for key, rate in LABELS.items():
        p, m, v = expected[key], np.zeros(SIZE), np.zeros(SIZE)
        for number, gradient in enumerate(start[1]):
            lr, g = getattr(RATES, rate) * 0.5 ** (number // 5), gradient[key]
            if name == "lion":
                p, m = lion(p, g, m, lr)
                continue
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
            t = number + 1
            u = m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-6)
            u = u + RATES.weight_decay * p
            p = p - lr * np.linalg.norm(p) / np.linalg.norm(u) * u
        expected[key] = p
    close(trained(start, optimizer=name), expected)


def test_every_optimizer_is_tested():
    assert {*TORCH, "lion", "lamb"} == set(OPTIMIZERS)


def test_clipping_of_gradients_is_pytorchs(x64, start):
    params = {k: torch.tensor(v, requires_grad=True) for k, v in start[0].items()}
    optimizer = torch.optim.SGD(params.values(), lr=0.03)
    norms = []
    for gradient in start[1]:
        for key, parameter in params.items():
            parameter.grad = torch.tensor(gradient[key])
        norm = torch.nn.utils.clip_grad_norm_(params.values(), 5.0)
        norms.append(norm.item())
        optimizer.step()
    assert min(norms) < 5 < max(norms)
    rates = Rates(lr=0.03, head_lr=0.03, proxies_lr=0.03, momentum=0.0, clip_norm=5.0)
    found = trained(start, rates, optimizer="sgd", schedule="constant", clip=True)
    for key, parameter in params.items():  # PyTorch divides by the norm plus 1e-6
        expected = parameter.detach().numpy()
        np.testing.assert_allclose(found[key], expected, rtol=1e-5)


def factors(name, warmup):
    rates = RATES._replace(warmup=warmup, maxiter=20)
    return np.asarray([schedule_factor(name, rates, step) for step in range(20)], float)


def torch_factors(make):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule, rates = make(optimizer), []
    for _ in range(20):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return rates


def test_schedules_are_pytorchs(x64):
    schedulers = torch.optim.lr_scheduler
    expected = torch_factors(lambda o: schedulers.StepLR(o, 5, gamma=0.5))
    np.testing.assert_allclose(factors("step", 0), expected, rtol=1e-12)
    expected = torch_factors(lambda o: schedulers.CosineAnnealingLR(o, 20))
    np.testing.assert_allclose(factors("cosine", 0), expected, rtol=1e-12)
    np.testing.assert_array_equal(factors("constant", 0), 1)

    def warm_cosine(optimizer):
        parts = [
            schedulers.LinearLR(optimizer, 1 / 4, total_iters=3),
            schedulers.CosineAnnealingLR(optimizer, 16),
        ]
        return schedulers.SequentialLR(optimizer, parts, milestones=[4])

    expected = torch_factors(warm_cosine)
    np.testing.assert_allclose(factors("cosine", 4), expected, rtol=1e-12)
    assert set(SCHEDULES) == {"step", "cosine", "constant"}


@pytest.mark.parametrize("name", ["optimizer", "schedule"])
def test_an_unknown_optimizer_or_schedule_is_named(name):
    with pytest.raises(ValueError, match=f"`{name}` must be one of .*, got 'x'"):
        make_optimizer({"model": "lr"}, **{name: "x"})
