"""What every loss promises, over a table of all of them."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P
from jax.test_util import check_grads

from jml import losses
from tests.losses.cases import LOSSES, SPECS, conventions, hyperparameters

slow = pytest.mark.slow
pytestmark = [
    pytest.mark.usefixtures("quick_compilation"),
    pytest.mark.filterwarnings("ignore:proxy_nca_loss. `labels` of 5 and above"),
]

PROXIES = jax.random.normal(jax.random.key(7), (5, 4))
# Each loss, in both conventions where it has them: "lifted-paper". Its name in `LOSSES`
# is the part before the dash.
CASES = {
    "-".join([name, *options.values()]): partial(
        loss, **options, **({} if SPECS[name].proxies is None else {"proxies": PROXIES})
    )
    for name, loss in LOSSES.items()
    for options in conventions(name)
}
SPEC_OF = {case: SPECS[case.partition("-")[0]] for case in CASES}
PAIR_CASES = [case for case, spec in SPEC_OF.items() if spec.proxies is None]
# Losses of unit vectors depend on directions from the origin, others on differences.
MOVABLE = [case for case in CASES if not SPEC_OF[case].unit_length]
SCALABLE = [case for case in CASES if SPEC_OF[case].unit_length]
HYPERPARAMETERS = [
    (case, number.name) for case in CASES for number in SPEC_OF[case].hyperparameters
]
LABELS = np.array([0, 1, 0, 2, 1, 0, 3, 2, 1, 0, 2, 4])
X = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)


def cases(names, argument="name"):
    """Parity with PyTorch has the original convention: here it is among the slow."""
    originals = {name for name in CASES if name.endswith("-original")}
    params = [
        pytest.param(*values, marks=slow if values[0] in originals else ())
        for values in (names if isinstance(argument, tuple) else zip(names))
    ]
    return pytest.mark.parametrize(argument, params)


every = cases(CASES)


def quick_for(*names):
    """All cases; those of other names are among the slow."""
    return pytest.mark.parametrize(
        "name",
        [pytest.param(case, marks=() if case in names else slow) for case in CASES],
    )


every_pair = cases(PAIR_CASES)
every_hyperparameter = cases(HYPERPARAMETERS, ("name", "argument"))


def all_at(name, number):
    """That number for each hyperparameter of a case."""
    return hyperparameters(name.partition("-")[0], number)


def value_and_grad(name, x, labels=LABELS, **options):
    return jax.value_and_grad(CASES[name])(
        jnp.asarray(x), jnp.asarray(labels), **options
    )


def assert_same(one, other, rtol=1e-6):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)


def test_no_loss_is_forgotten():
    tested = {loss.func for loss in CASES.values()}
    public = {name for name in losses.__all__ if name.endswith("_loss")}
    assert tested == {getattr(losses, name) for name in public}


@slow
@every
def test_vmap(name):
    batch = jnp.stack([X, 2 * X, X[::-1]])
    labels = jnp.stack([LABELS, LABELS, LABELS * 0])
    together = jax.vmap(jax.value_and_grad(CASES[name]))(batch, labels)
    for i in range(3):
        one = value_and_grad(name, batch[i], labels[i])
        assert_same(jax.tree.map(lambda a, i=i: a[i], together), one, rtol=1e-5)


@quick_for("contrastive-paper", "triplet_semi-paper", "proxy_nca")
def test_where_means_absent(name):
    keep = np.array([1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 0, 1], bool)
    poisoned = np.where(keep[:, None], X, np.nan)
    value, grad = value_and_grad(name, poisoned, where=jnp.asarray(keep))
    dropped, dropped_grad = value_and_grad(name, X[keep], LABELS[keep])
    assert_same((value, grad[keep]), (dropped, dropped_grad))
    assert not np.any(grad[~keep])


@pytest.mark.parametrize("name", ["triplet_semi-original", "triplet_semi-paper"])
def test_an_absent_first_item_is_no_negative(name):
    """The first item stands in where every negative is as far as the positive."""
    x = np.array([[5], [10], [11], [9]], np.float32)
    labels, keep = np.array([7, 0, 0, 1]), np.array([0, 1, 1, 1], bool)
    value = value_and_grad(name, x, labels, where=jnp.asarray(keep))[0]
    np.testing.assert_allclose(value, value_and_grad(name, x[keep], labels[keep])[0])


@every
def test_all_absent(name):
    value, grad = value_and_grad(name, X, where=jnp.zeros(12, bool))
    assert value == 0
    assert not np.any(grad)


@pytest.mark.slow
@every_pair
@pytest.mark.parametrize("block_size", [pytest.param(1, marks=slow), 5])
def test_blocks_change_nothing(x64, name, block_size):
    x, options = X.astype(np.float64), all_at(name, 1.0)
    whole = value_and_grad(name, x, **options)
    assert_same(whole, value_and_grad(name, x, **options, block_size=block_size), 1e-13)


@slow
@every
def test_half_precision(name):
    """Computed in float32 from the rounded input; the gradient is in its dtype."""
    dtype = jnp.float16 if "paper" in name else jnp.bfloat16
    rounded = X.astype(dtype)
    value, grad = value_and_grad(name, rounded)
    expected, expected_grad = value_and_grad(name, rounded.astype(np.float32))
    assert value.dtype == jnp.float32
    assert grad.dtype == dtype
    assert_same(value, expected)
    assert_same(grad.astype(np.float32), expected_grad, rtol=2e-2)


@every_hyperparameter
def test_a_new_number_does_not_recompile(name, argument):
    # A new function: all that is compiled of one function is in one cache.
    compiled = jax.jit(partial(CASES[name]))
    for number in (0.1, 0.7, 2.0):
        compiled(X, LABELS, **{argument: number})
    assert compiled._cache_size() == 1


@slow
@every
def test_derivatives(x64, name):
    """By embeddings and hyperparameters, against differences, away from kinks."""

    def loss(x, numbers):
        return CASES[name](x, labels=jnp.asarray(LABELS), **numbers)

    check_grads(loss, (X.astype(float), all_at(name, 1.3)), order=1)


@slow
@pytest.mark.parametrize("name", ["contrastive-paper", "lifted-original"])
def test_second_derivatives(x64, name):
    """Forward over reverse, as `jax.hessian` has it: embeddings, hyperparameters."""

    def loss(x, numbers):
        return CASES[name](x, labels=jnp.asarray(LABELS), **numbers)

    both = jax.grad(loss, argnums=(0, 1))
    numbers = all_at(name, 1.3)
    check_grads(both, (X.astype(float), numbers), order=1, modes=["fwd"])


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n == "contrastive-paper" else slow) for n in MOVABLE],
)
def test_moving_all_embeddings_changes_nothing(x64, name):
    x = X.astype(np.float64)
    assert_same(value_and_grad(name, x), value_and_grad(name, x + 3), rtol=1e-12)


@cases(SCALABLE)
def test_scaling_all_embeddings_changes_nothing(x64, name):
    x = X.astype(np.float64)
    value, grad = value_and_grad(name, 8 * x)
    assert_same((value, 8 * grad), value_and_grad(name, x), rtol=1e-12)


@quick_for("contrastive-paper")
def test_a_batch_that_all_devices_have(name):
    """It counts as often as there are devices, here one."""
    mesh = jax.make_mesh((1,), ("data",), axis_types=(AxisType.Auto,))
    loss = partial(CASES[name], axis_name="data")
    spread = jax.shard_map(loss, mesh=mesh, in_specs=(P(), P()), out_specs=P())
    found = jax.value_and_grad(spread)(jnp.asarray(X), jnp.asarray(LABELS))
    assert_same(found, value_and_grad(name, X))


EXTREMES = {
    "one item": (X[:1], LABELS[:1]),
    "no item": (X[:0], LABELS[:0]),
    "one class": (X, LABELS * 0),
    "all distinct": (X, np.arange(12)),
    "zeros": (X * 0, LABELS),
    "identical": (np.tile(X[:1], (12, 1)), LABELS),
    "duplicates": (X[[0, 1, 0, 1, 2, 2, 3, 3, 4, 4, 5, 5]], LABELS),
    "tiny": (X * 1e-30, LABELS),
    "denormal": (X * 1e-42, LABELS),
    "large": (X * 1e6, LABELS),
    "huge": (X * 1e30, LABELS),
    "largest": (np.sign(X) * np.finfo(np.float32).max, LABELS),
    "mixed": (X * 10.0 ** np.linspace(-38, 37, 12)[:, None].astype(np.float32), LABELS),
}


@every
@pytest.mark.parametrize("extreme", EXTREMES)
def test_extremes_are_finite(name, extreme):
    x, labels = EXTREMES[extreme]
    value, grad = value_and_grad(name, x, labels)
    assert np.isfinite(value)
    assert np.all(np.isfinite(grad))


@every
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_input_shows(name, bad):
    x = X.copy()
    x[3, 1] = bad
    assert np.isnan(value_and_grad(name, x)[0])


ERRORS = [
    (dict(embeddings=X[0]), r"`embeddings` must have shape \[B, D\], got \(4,\)"),
    (
        dict(embeddings=X.tolist()),
        r"`embeddings` must be an array \[B, D\] of JAX or NumPy, got a list",
    ),
    (dict(embeddings=LABELS[:, None]), "`embeddings` must be floating, got int"),
    (dict(labels=LABELS[:, None]), r"`labels` must have shape \[B\], got \(12, 1\)"),
    (dict(labels=LABELS / 2), "`labels` must be integer, got float"),
    (dict(labels=LABELS[:3]), "`labels` must have one entry for each of the 12"),
    (dict(where=LABELS), "`where` must be boolean, got int"),
    (dict(where=np.ones(3, bool)), "`where` must have one entry for each of the 12"),
]


@every
@pytest.mark.parametrize(("arguments", "message"), ERRORS)
def test_errors_name_the_argument(name, arguments, message):
    loss = CASES[name]
    with pytest.raises(ValueError, match=f"{loss.func.__name__}.*{message}"):
        loss(**{"embeddings": X, "labels": LABELS, **arguments})


@every_hyperparameter
@pytest.mark.parametrize(
    "number", ["a", True, 1j, np.ones(3), np.ones((), bool), np.complex64(1), None]
)
def test_numbers_are_checked(name, argument, number):
    with pytest.raises(ValueError, match=f"_loss: `{argument}` must be a number, got"):
        CASES[name](X, LABELS, **{argument: number})


@every_hyperparameter
@pytest.mark.parametrize(
    "number", [3.4e38, -3.4e38, 1e300, 10**40, 0, 1e-30, 1e-42, 1e-300, -1e-42]
)
def test_huge_and_tiny_numbers_are_finite(name, argument, number):
    """Also where no pair or triplet uses them."""
    for labels in (LABELS, LABELS * 0, np.arange(12)):
        value, grad = value_and_grad(name, X, labels, **{argument: number})
        assert np.isfinite(value) and np.all(np.isfinite(grad))


@every_hyperparameter
def test_numbers_at_the_bounds_of_the_command_are_finite(name, argument):
    (bounds,) = (h.bounds for h in SPEC_OF[name].hyperparameters if h.name == argument)
    for limit in bounds.values():
        value, grad = value_and_grad(name, X, **{argument: limit})
        assert np.isfinite(value) and np.all(np.isfinite(grad)), limit


@quick_for("contrastive-paper", "proxy_nca")
def test_labels_are_not_cut_off(name):
    """JAX keeps 32 bits of a NumPy label, and would take these for one class."""
    labels = np.arange(12, dtype=np.int64) * 2**32
    with pytest.raises(
        ValueError, match=r"_loss: `labels` must fit int32, got 0 to 47"
    ):
        CASES[name](X, labels)
    with jax.enable_x64(True):
        assert np.isfinite(CASES[name](X, labels))


def test_arrays_of_other_libraries_are_refused():
    with pytest.raises(ValueError, match="of JAX or NumPy, got a Tensor"):
        losses.contrastive_loss(torch.tensor(X), LABELS)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.uint32])
def test_narrow_labels_and_many_proxies(dtype):
    proxies = jax.random.normal(jax.random.key(1), (700, 4))
    narrow = losses.proxy_nca_loss(X, LABELS.astype(dtype), proxies)
    assert narrow == losses.proxy_nca_loss(X, LABELS.astype(np.int32), proxies)


@every
def test_ranks_of_arrays_are_equal(name):
    """As in all tests, and as some users have it: nothing is broadcast unsaid."""
    assert jax.config.jax_numpy_rank_promotion == "raise"
    options = {"where": jnp.asarray(LABELS > 0), "block_size": 5}
    if name in PAIR_CASES:
        memory = losses.init_memory(20, 4, dtype=jnp.bfloat16)
        options["memory"] = losses.update_memory(memory, X, LABELS)
    loss = partial(CASES[name], labels=jnp.asarray(LABELS), **options)
    jax.eval_shape(jax.value_and_grad(loss), X.astype(np.float16))


@every_pair
def test_no_dimension(name):
    assert np.isfinite(value_and_grad(name, X[:, :0])[0])


def test_a_nan_among_positives_shows():
    x = np.array([[np.nan], [1]], np.float32)
    assert np.isnan(losses.contrastive_loss(x, np.array([0, 0])))


def test_choices_and_proxies_are_checked():
    with pytest.raises(ValueError, match="triplet_loss: `mining` must be one of"):
        losses.triplet_loss(X, LABELS, mining="hard")
    with pytest.raises(ValueError, match="lifted_loss: `convention` must be one of"):
        losses.lifted_loss(X, LABELS, convention="book")
    with pytest.raises(ValueError, match="contrastive_loss: `block_size` must be"):
        losses.contrastive_loss(X, LABELS, block_size=0)
    for axis_name in ("data", 3, ()):
        with pytest.raises(ValueError, match="lifted_loss: `axis_name` must be"):
            losses.lifted_loss(X, LABELS, axis_name=axis_name)
    with pytest.raises(ValueError, match="`mining` must be one of"):
        losses.triplet_loss(X, LABELS, mining=["semi"])
    losses.contrastive_loss(X, LABELS, block_size=np.int64(5))
    with pytest.raises(ValueError, match="`proxies` must have 4 columns"):
        losses.proxy_nca_loss(X, LABELS, jnp.zeros((5, 3)))
