"""A loss of one's own: what its formula is given, and what is made of it."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jml.pairwise import (
    Batch,
    count_true,
    make_pairs,
    make_rows,
    masked_sum,
    on_cpu,
    pair_loss,
    sum_pairs,
    sum_positives,
    sum_rows,
)
from jml.pairwise._pair_loss import _pair_loss
from tests.parity import assert_close

pytestmark = pytest.mark.usefixtures("quick_compilation")

LABELS = np.array([0, 1, 0, 2, 1, 0, 3])
X = np.random.default_rng(0).normal(size=(7, 3))


def terms(rows, *, scale):
    """Different from both ends of a pair: each row is divided by its length."""
    total = masked_sum(jnp.exp(-scale * rows.squared), rows.positive | rows.negative)
    return total**2, count_true(rows.negative, total.dtype)


def own_loss(x, scale, **options):
    batch = Batch(x, LABELS, **options)
    return pair_loss("own_loss", terms, batch, {"scale": scale})


def test_positives_leave_out_the_anchor():
    pairs = make_pairs(jnp.asarray(X), jnp.asarray(LABELS), jnp.arange(7) != 2)
    last = jax.tree.map(lambda a: a[3:], pairs.anchors)
    rows = make_rows(last, pairs.references)
    valid = np.arange(7) != 2
    same = (LABELS[3:, None] == LABELS) & valid
    itself = np.arange(3, 7)[:, None] == np.arange(7)
    np.testing.assert_array_equal(rows.positive, same & ~itself)
    np.testing.assert_array_equal(rows.positive_or_self, same)
    np.testing.assert_array_equal(rows.negative, (LABELS[3:, None] != LABELS) & valid)


@pytest.mark.parametrize("block_size", [None, 3])
def test_the_gradient_is_that_of_plain_jax(x64, block_size):
    others = ~np.eye(7, dtype=bool)

    def plain(x, scale):
        squared = jnp.sum((x[:, None] - x[None]) ** 2, axis=2)
        closeness = jnp.where(others, jnp.exp(-scale * squared), 0)
        number = np.sum(LABELS[:, None] != LABELS)
        return jnp.sum(jnp.sum(closeness, axis=1) ** 2) / number

    expected, by_plain = jax.value_and_grad(plain, (0, 1))(X, 0.7)
    value, by_own = jax.value_and_grad(own_loss, (0, 1))(X, 0.7, block_size=block_size)
    assert_close(value, expected, 1e-14, label="value")
    assert_close(by_own[0], by_plain[0], 1e-13, label="by embeddings")
    assert_close(by_own[1], by_plain[1], 1e-13, label="by scale")


def test_it_compiles_once():
    own_loss(X, 1.0)
    before = _pair_loss._cache_size()
    for scale in (2.0, 3, np.float32(4)):
        own_loss(X + scale, scale)
    assert _pair_loss._cache_size() == before


@pytest.mark.parametrize("transform", [jax.value_and_grad, jax.hessian])
def test_a_formula_is_traced_once_for_all_its_derivatives(transform):
    calls = []

    def counted(rows, *, scale):
        calls.append(rows)
        return terms(rows, scale=scale)

    def loss(x):
        return pair_loss("own_loss", counted, Batch(x, LABELS), {"scale": 0.5})

    jax.jit(transform(loss)).trace(X)
    assert len(calls) == 1


def test_errors_name_the_loss_and_the_number():
    with pytest.raises(ValueError, match="own_loss: `scale` must be a number, got"):
        own_loss(X, "a")
    with pytest.raises(ValueError, match="own_loss: `batch` must be a Batch, got a tu"):
        pair_loss("own_loss", terms, (X, LABELS), {"scale": 1.0})
    with pytest.raises(ValueError, match="own_loss: `hyperparameters` must be a Mapp"):
        pair_loss("own_loss", terms, Batch(X, LABELS), None)


def scalars(rows):
    return jnp.sum(rows.squared), jnp.sum(rows.positive, dtype=rows.squared.dtype)


def one_scalar(rows):
    total, _ = terms(rows, scale=1.0)
    return total, jnp.sum(rows.negative, dtype=total.dtype)


def one_array(rows):
    return terms(rows, scale=1.0)[0]


def entries(rows):
    return rows.squared, rows.negative.astype(rows.squared.dtype)


@pytest.mark.parametrize("block_size", [None, 3])
@pytest.mark.parametrize(
    ("wrong", "shapes"),
    [
        (scalars, "(), ()"),
        (one_scalar, "({b},), ()"),
        (one_array, "({b},)"),
        (entries, "({b}, 7), ({b}, 7)"),
    ],
)
def test_a_formula_returns_one_entry_for_each_anchor(wrong, shapes, block_size):
    batch = Batch(X, LABELS, block_size=block_size)
    with pytest.raises(ValueError, match="own_loss: `terms` must return") as caught:
        pair_loss("own_loss", wrong, batch, {})
    anchors = block_size or 7
    assert f"each of the {anchors} anchors, the sums and the" in str(caught.value)
    assert str(caught.value).endswith(f"got shapes {shapes.format(b=anchors)}")


def test_a_formula_that_returns_a_dict_is_refused():
    def wrong(rows):
        return dict(zip("ba", terms(rows, scale=1.0), strict=True))

    with pytest.raises(ValueError, match=r"`terms` must return .* got a dict"):
        pair_loss("own_loss", wrong, Batch(X, LABELS), {})


@pytest.mark.parametrize("transform", [jax.grad, lambda f: jax.jit(jax.grad(f))])
@pytest.mark.parametrize("kind", ["closure", "inner closure", "default", "partial"])
def test_a_formula_that_holds_a_traced_value_is_refused(kind, transform):
    """Its gradient would be 0 without a word."""

    def loss(scale):
        def closure(rows):
            return terms(rows, scale=scale)

        def default(rows, scale=scale):
            return terms(rows, scale=scale)

        formulas = {"closure": closure, "default": default}
        formulas["inner closure"] = lambda rows: closure(rows)
        formula = formulas.get(kind, partial(terms, scale=scale))
        return pair_loss("own_loss", formula, Batch(X, LABELS), {})

    with pytest.raises(ValueError, match="own_loss: `terms` uses a traced value"):
        transform(loss)(1.0)
    assert np.isfinite(loss(1.0))


def test_a_formula_may_hold_anything_else():
    settings = {1: 2.0, "scale": 1.0}  # keys that cannot be sorted

    def formula(rows, settings=settings):
        return later if settings is None else terms(rows, scale=settings["scale"])

    value = pair_loss("own_loss", formula, Batch(X, LABELS), {})
    later = ()
    assert value == own_loss(X, 1.0) and later == ()


@pytest.mark.parametrize("argument", ["terms", "sum_over", "choices", "parameters"])
def test_an_argument_of_a_wrong_kind_is_named(argument):
    arguments = {"terms": terms, "batch": Batch(X, LABELS), "hyperparameters": {}}
    with pytest.raises(ValueError, match=f"own_loss: `{argument}` must be a "):
        pair_loss("own_loss", **arguments | {argument: [3]})


def smooth_count(rows, *, scale):
    del scale
    return masked_sum(rows.squared, rows.positive), jnp.sum(rows.squared, axis=1)


def count_by_scale(rows, *, scale):
    number = count_true(rows.positive, rows.squared.dtype)
    return masked_sum(rows.squared, rows.positive), scale * number


@pytest.mark.parametrize("sum_over", [sum_rows, sum_pairs, sum_positives])
@pytest.mark.parametrize("wrong", [smooth_count, count_by_scale])
def test_a_count_has_no_gradient(wrong, sum_over):
    """Refused also where no gradient is asked for."""
    with pytest.raises(ValueError, match="own_loss: the count that `terms` returns"):
        pair_loss(
            *("own_loss", wrong, Batch(X, LABELS), {"scale": 1.0}), sum_over=sum_over
        )


def counted_within(rows, *, scale):
    """The pairs within `scale`: their number changes with it in steps."""
    pairs = rows.positive & (rows.squared < scale)
    return masked_sum(rows.squared, pairs), count_true(pairs, rows.squared.dtype)


def test_a_count_may_change_in_steps(x64):
    def loss(x, scale):
        batch = Batch(x, LABELS, block_size=3)
        return pair_loss("own_loss", counted_within, batch, {"scale": scale})

    def plain(x):
        squared = jnp.sum((x[:, None] - x[None]) ** 2, axis=2)
        pairs = (LABELS[:, None] == LABELS) & ~np.eye(7, dtype=bool)
        return jnp.mean(squared, where=pairs & (squared < 5.0))

    assert 0 < plain(X) < 5
    expected = jax.jit(jax.hessian(plain))(X)
    assert_close(jax.jit(jax.hessian(loss))(X, 5.0), expected, 1e-12, label="hessian")
    assert jax.grad(loss, 1)(X, 5.0) == 0


def test_the_default_device_decides_what_a_cpu_is(monkeypatch):
    """As of ``--cuda false`` on a machine with a GPU."""
    cpu = jax.devices("cpu")[0]
    assert on_cpu()
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert not on_cpu()
    for device in (cpu, "cpu"):
        with jax.default_device(device):
            assert on_cpu()
    with jax.default_device("gpu"):
        assert not on_cpu()
