"""Losses of two towers: queries, and references that are no anchors."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jml import losses, miners
from jml._loss_specs import SPECS
from tests.losses.cases import TOWER_LOSSES
from tests.losses.definitions import DEFINITIONS, reduce, relate, relate_by_numbers
from tests.losses.definitions._views import clip_four_way
from tests.parity import assert_close

pytestmark = pytest.mark.usefixtures("quick_compilation")

LOSSES = TOWER_LOSSES | {
    "clip_four_way": partial(losses.clip_loss, denominator="four_way")
}
NUMBERS = {
    "siglip": {"scale": 7.0, "bias": -3.0},
    "clip": {"scale": 7.0},
    "clip_four_way": {"scale": 7.0},
}
every = pytest.mark.parametrize("name", LOSSES)
labelled = pytest.mark.parametrize("name", TOWER_LOSSES)
SIZE = 10
X, Y = np.random.default_rng(0).normal(size=(2, SIZE, 4)).astype(np.float32)
WHERE = np.arange(SIZE) % 5 > 0
LEFT = np.flatnonzero(WHERE)


@partial(jax.jit, static_argnames=("name", "reduction", "block_size"))
def value_and_grads(name, x, y, numbers, *, reduction="mean", **options):
    """By queries, references and numbers; of the mean over anchors for "none"."""

    def loss(x, y, numbers):
        value = LOSSES[name](x, y, **numbers, reduction=reduction, **options)
        return jnp.mean(value)

    return jax.value_and_grad(loss, argnums=(0, 1, 2))(x, y, numbers)


def define(name, x, y, numbers, relations, reduction="mean"):
    x, y = (torch.tensor(v.astype(float), requires_grad=True) for v in (x, y))
    numbers = {
        key: torch.tensor(value, dtype=torch.float64, requires_grad=True)
        for key, value in numbers.items()
    }
    if name == "clip_four_way":
        value = clip_four_way(x, y, relations, **numbers)
    elif name == "clip":
        value = DEFINITIONS["clip"](x, y, relations, **numbers)
    else:
        terms = DEFINITIONS["siglip"](x, y, relations, **numbers)
        value = reduce(terms, reduction, len(x)).mean()
    by = (x, y, *numbers.values())
    by_x, by_y, *rest = torch.autograd.grad(value, by)
    return value.item(), (by_x, by_y, dict(zip(numbers, rest, strict=True)))


def assert_equal(found, expected, limit, label):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert_close(a, np.asarray(b), limit, label=label)


seeds = st.integers(0, 2**32 - 1)


@every
@settings(max_examples=12)
@given(seed=seeds)
def test_pairs_of_two_towers_have_their_definition(name, seed):
    """Query i belongs to reference i; some pairs are left out."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2, SIZE, 4))
    where, places = rng.random(SIZE) < 0.8, np.arange(SIZE)
    where[:2] = True
    relations = relate(places, places, where=where, column_where=where)
    options = {"where": where, "block_size": 3}
    with jax.enable_x64(True):
        found = jax.device_get(value_and_grads(name, x, y, NUMBERS[name], **options))
    expected = define(name, x, y, NUMBERS[name], relations)
    assert_equal(found, expected, 1e-10, f"{name}, seed {seed}")


@labelled
@settings(max_examples=12)
@given(seed=seeds, weighted=st.booleans())
def test_labels_of_two_towers_have_their_definition(name, seed, weighted):
    """Several positives, or none; references of another number; ignored pairs."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(SIZE, 4)), rng.normal(size=(SIZE - 1, 4))
    where, there = rng.random(SIZE) < 0.8, rng.random(SIZE - 1) < 0.8
    where[:2] = there[:2] = True
    if weighted:
        related = rng.normal(size=(SIZE, SIZE - 1)).clip(-0.5, None)
        related = np.where((related < 0) & (related > -0.5), 0, related)
        related[0, 0] = 2
        relations = relate_by_numbers(related, where, there)
        options = {"related": related}
    else:
        labels, others = rng.integers(0, 4, SIZE), rng.integers(0, 4, SIZE - 1)
        labels[0] = others[0]
        relations = relate(labels, others, where=where, column_where=there)
        options = {"labels": labels, "reference_labels": others}
    options |= {"where": where, "reference_where": there, "block_size": 4}
    with jax.enable_x64(True):
        found = jax.device_get(value_and_grads(name, x, y, NUMBERS[name], **options))
    expected = define(name, x, y, NUMBERS[name], relations)
    assert_equal(found, expected, 1e-10, f"{name}, seed {seed}")


@pytest.mark.parametrize(
    ("name", "reduction"),
    [
        ("siglip", "none"),
        *(("clip", word) for word in ("none", "nonzero", "sum")),
        *(("clip_four_way", word) for word in ("none", "sum")),
    ],
)
def test_reductions_of_complete_pairs_agree_with_the_mean(name, reduction):
    found = value_and_grads(name, X, Y, NUMBERS[name], reduction=reduction)
    scale = SIZE if reduction == "sum" else 1
    expected = jax.tree.map(
        lambda a: scale * a, value_and_grads(name, X, Y, NUMBERS[name])
    )
    assert_equal(found, expected, 1e-5, f"{name}, {reduction}")


@every
def test_towers_in_float32_are_close_to_their_definition(name):
    found = value_and_grads(name, X, Y, NUMBERS[name])
    relations = relate(np.arange(SIZE), np.arange(SIZE))
    assert_equal(found, define(name, X, Y, NUMBERS[name], relations), 1e-4, name)


@labelled
def test_a_memory_holds_further_references(x64, name):
    """They pass no gradient, and with CLIP they look for no query of their own."""
    x, y, labels = X.astype(float), Y.astype(float), np.arange(SIZE) // 2
    memory = losses.init_memory(9, 4, dtype=jnp.float64)
    memory = losses.update_memory(memory, x[:5] + 1, labels[:5])
    options = {"labels": labels, "reference_labels": labels, "memory": memory}
    found = value_and_grads(name, x, y, NUMBERS[name], block_size=4, **options)
    together, all_labels = np.r_[y, x[:5] + 1], np.r_[labels, labels[:5]]
    relations = relate(labels, all_labels)
    if name == "clip":
        term = partial(define_rows, 7.0)
        expected = (
            term(x, together, relations) + term(y, x, relate(labels, labels))
        ) / 2
        assert_close(found[0], expected, 1e-12, label=name)
    else:
        value, (by_x, by_y, rest) = define(name, x, together, NUMBERS[name], relations)
        assert_equal(found, (value, (by_x, by_y[:SIZE], rest)), 1e-10, name)


def define_rows(scale, x, y, relations):
    """The mean term of queries alone."""
    x, y = (a / np.linalg.norm(a, axis=1, keepdims=True) for a in (x, y))
    z = scale * x @ y.T
    near = np.sum(z * relations.positive, axis=1) / relations.positive.sum(axis=1)
    return np.mean(np.log(np.exp(z).sum(axis=1)) - near)


@every
def test_second_derivatives_of_two_towers_equal_differences(x64, name):
    """Forward over reverse, along one direction of all arguments."""

    @jax.jit
    def gradients(x, y, numbers):
        loss = partial(LOSSES[name], where=WHERE)
        return jax.grad(lambda *a: loss(*a[:2], **a[2]), (0, 1, 2))(x, y, numbers)

    given = X.astype(float), Y.astype(float), NUMBERS[name]
    given = jax.tree.map(jnp.asarray, given)
    along = jax.tree.map(lambda a: jnp.cos(3 * a), given)
    found = jax.jvp(gradients, given, along)[1]
    ends = (
        gradients(*jax.tree.map(lambda a, t, s=step: a + s * t, given, along))
        for step in (1e-5, -1e-5)
    )
    expected = jax.tree.map(lambda a, b: (a - b) / 2e-5, *ends)
    assert_equal(found, expected, 1e-6, name)


EXTREMES = {
    "zeros": X * 0,
    "identical": np.tile(X[:1], (SIZE, 1)),
    "denormal": X * 1e-42,
    "largest": np.sign(X) * np.finfo(np.float32).max,
    "mixed": X * np.logspace(-38, 37, SIZE, dtype=np.float32)[:, None],
}


@every
@pytest.mark.parametrize("extreme", EXTREMES)
def test_losses_of_extreme_towers_are_finite(name, extreme):
    """Also with most pairs left out, a scale without limit, and one of 0."""
    x = EXTREMES[extreme]
    for y in (x, -x, Y):
        for where, scale in (
            (WHERE, 100.0),
            (~WHERE, 3e38),
            (WHERE, -3e38),
            (WHERE, 0.0),
        ):
            numbers = NUMBERS[name] | {"scale": scale}
            found = value_and_grads(name, x, y, numbers, where=where)
            assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found))


@every
def test_towers_without_a_pair_have_loss_zero(name):
    found = value_and_grads(name, X, Y, NUMBERS[name], where=WHERE & False)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(found))
    assert LOSSES[name](X[:0], Y[:0]) == 0


@every
def test_pairs_that_where_leaves_out_count_as_absent(name):
    x, y = (np.where(WHERE[:, None], view, np.nan) for view in (X, Y))
    value, (by_x, by_y, _) = value_and_grads(name, x, y, NUMBERS[name], where=WHERE)
    expected = define(name, X[WHERE], Y[WHERE], NUMBERS[name], relate(*2 * [LEFT]))
    found = value, (by_x[WHERE], by_y[WHERE])
    assert_equal(found, (expected[0], expected[1][:2]), 1e-4, name)
    assert not np.any(by_x[~WHERE]) and not np.any(by_y[~WHERE])
    assert np.isnan(value_and_grads(name, x, Y, NUMBERS[name])[0])


def test_towers_in_half_precision_are_computed_in_float32():
    x, y = X.astype(jnp.bfloat16), Y.astype(jnp.bfloat16)
    value, (by_x, _, _) = value_and_grads("clip", x, y, NUMBERS["clip"])
    wide = x.astype(np.float32), y.astype(np.float32)
    assert value.dtype == jnp.float32 and by_x.dtype == jnp.bfloat16
    assert_close(value, value_and_grads("clip", *wide, NUMBERS["clip"])[0], 1e-6)


@labelled
def test_two_towers_take_a_miner(name):
    """As if the pairs that it leaves out were ignored."""
    x, y = (a / np.linalg.norm(a, axis=1, keepdims=True) for a in (X, Y))
    s, own = x @ y.T, np.eye(SIZE, dtype=bool)
    nearest = np.where(own, -np.inf, s).max(axis=1, keepdims=True)
    positive = own & (s - 0.1 < nearest)
    negative = ~own & (s + 0.1 > np.diagonal(s)[:, None])
    related = np.where(positive, 1, np.where(negative, 0, -1))
    mined = TOWER_LOSSES[name](X, Y, miner=miners.multi_similarity(epsilon=0.1))
    assert_close(mined, TOWER_LOSSES[name](X, Y, related=related), 1e-6, label=name)


ERRORS = [
    ({"queries": X[0]}, r"`queries` must have shape \[B, D\], got \(4,\)"),
    ({"references": Y.tolist()}, r"`references` must be an array \[N, D\]"),
    ({"references": Y[:3]}, "`references` must be as many as the 10 queries, if there"),
    ({"queries": X.astype(int)}, "`queries` must be floating, got int"),
    ({"reference_labels": np.arange(SIZE)}, "`reference_labels` needs `labels`, got N"),
    ({"memory": losses.init_memory(3, 4)}, "`memory` needs `labels`, got None"),
    ({"labels": np.arange(SIZE)}, "`references` need `reference_labels`"),
    ({"where": WHERE * 1}, "`where` must be boolean, got int"),
    ({"axis_name": "data"}, "`axis_name` must be an axis of the jax.shard_map"),
    ({"reduction": "all"}, "`reduction` must be one of 'mean', "),
    ({"scale": "a"}, "`scale` must be a number, got 'a'"),
]


@labelled
@pytest.mark.parametrize(("arguments", "message"), ERRORS)
def test_errors_of_losses_of_two_towers_name_the_argument(name, arguments, message):
    with pytest.raises(ValueError, match=f"^{name}_loss: {message}"):
        TOWER_LOSSES[name](**{"queries": X, "references": Y, **arguments})


def test_the_four_way_denominator_has_no_labels():
    with pytest.raises(ValueError, match="`labels` must be None with `denominator='f"):
        losses.clip_loss(X, Y, denominator="four_way", labels=np.arange(SIZE))
    with pytest.raises(ValueError, match="`denominator` must be one of 'two_way', "):
        losses.clip_loss(X, Y, denominator="three_way")


@labelled
def test_an_objective_takes_two_items_of_each_class_for_towers(name):
    labels = np.array([0, 1, 0, 2, 1, 0, 3, 2, 1, 4])
    numbers = SPECS[name].defaults()
    value = losses.make_objective(name)(X, labels, None, numbers)
    first, second = X[[0, 1, 3, 0, 0]], X[[2, 4, 7, 0, 0]]
    there = {"where": np.arange(5) < 3, "reference_where": np.arange(5) < 3}
    expected = TOWER_LOSSES[name](first, second, **numbers, **there)
    assert_close(value, expected, 1e-5, label=name)
