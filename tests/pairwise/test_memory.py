"""The cross-batch memory, against loops over the pairs that it adds."""

import re
from collections import deque
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jml import losses
from jml.pairwise import find_class_runs, make_pairs
from tests.losses.cases import PAIR_LOSSES, conventions, hyperparameters
from tests.losses.oracles import PAPER
from tests.losses.references import oracle
from tests.parity import assert_close

pytestmark = pytest.mark.usefixtures("quick_compilation")

BATCH, KEPT, DIM, NUMBER = 9, 14, 3, 1.3  # of each hyperparameter
slow = pytest.mark.slow
# The others have definitions only: tests/losses/test_definitions.py.
LOOPS = [name for name in PAIR_LOSSES if name in PAPER]
CASES = [(name, options) for name in LOOPS for options in conventions(name)]
every = pytest.mark.parametrize(
    ("name", "options"),
    [
        pytest.param(
            name,
            options,
            id="-".join([name, *options.values()]),
            marks=slow if "original" in options.values() else (),
        )
        for name, options in CASES
    ],
)


def loops(name, options):
    """Those of a loss, at its hyperparameters."""
    return partial(oracle(name, **options), **hyperparameters(name, NUMBER))


def make_case(seed, classes=4):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(BATCH + KEPT, DIM))
    return x, rng.integers(0, classes, len(x))


update_memory = jax.jit(losses.update_memory)


def remember(x, labels, size=KEPT):
    """A memory of these, the rest of its places empty."""
    memory = losses.init_memory(size, x.shape[1], dtype=x.dtype)
    for start in range(0, len(x), 5):
        memory = update_memory(memory, x[start : start + 5], labels[start:][:5])
    return memory


@partial(jax.jit, static_argnames=("name", "convention", "block_size"))
def evaluate(name, x, labels, memory, *, numbers=None, **options):
    numbers = hyperparameters(name, NUMBER) if numbers is None else numbers
    return PAIR_LOSSES[name](x, labels, memory=memory, **numbers, **options)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("classes", [4, 1, 30])
@pytest.mark.parametrize("block_size", [None, pytest.param(4, marks=slow)])
@every
def test_losses_with_a_memory_equal_loops_over_pairs(
    x64, name, options, block_size, classes, seed
):
    x, labels = make_case(seed, classes)
    memory = remember(x[BATCH:], labels[BATCH:], size=20)  # six places are empty
    expected = loops(name, options)(x, labels, batch=BATCH)
    options = {**options, "block_size": block_size}
    value = evaluate(name, x[:BATCH], labels[:BATCH], memory, **options)
    assert_close(value, expected, 1e-12, label=f"{name}, {classes} classes, {seed}")


@partial(jax.jit, static_argnames=("name", "convention", "block_size"))
def derivatives(name, given, labels, memory, direction, **options):
    """Value, slope along a direction, and gradients, by what is kept, too."""

    def loss(given, kept):
        x, numbers = given
        of_kept = memory._replace(embeddings=kept)
        return evaluate(name, x, labels, of_kept, numbers=numbers, **options)

    kept = memory.embeddings
    value, gradients = jax.value_and_grad(loss, argnums=(0, 1))(given, kept)
    slope = jax.jvp(partial(loss, kept=kept), (given,), (direction,))[1]
    return value, slope, *gradients


@slow
@every
def test_derivatives_with_a_memory_equal_differences(x64, name, options):
    """Of the batch alone: nothing flows into the memory."""
    x, labels = make_case(1)
    memory = remember(x[BATCH:], labels[BATCH:])

    original = options.get("convention") == "original"
    options = {**options, "block_size": None if original else 5}

    rng, step = np.random.default_rng(2), 3e-6
    given = x[:BATCH], hyperparameters(name, NUMBER)
    given = jax.tree.map(np.float64, given)
    direction = jax.tree.map(lambda a: np.asarray(rng.normal(size=a.shape)), given)

    def at(step):
        moved = jax.tree.map(lambda a, d: a + step * d, given, direction)
        return derivatives(name, moved, labels[:BATCH], memory, direction, **options)

    expected = (at(step)[0] - at(-step)[0]) / (2 * step)
    _, slope, gradient, by_kept = at(0)
    products = sum(jax.tree.leaves(jax.tree.map(np.vdot, gradient, direction)))
    assert_close(slope, expected, 1e-7, label="forward")
    assert_close(products, expected, 1e-7, label="reverse")
    assert not np.any(by_kept)


@slow
@every
def test_an_empty_memory_changes_nothing(name, options):
    x, labels = make_case(2)
    x, labels = x[:BATCH].astype(np.float32), labels[:BATCH]
    empty = losses.init_memory(20, DIM)
    with_memory = evaluate(name, x, labels, empty, **options)
    without = evaluate(name, x, labels, None, **options)
    np.testing.assert_allclose(with_memory, without, rtol=1e-6)


@pytest.mark.parametrize("name", ["triplet_hardest", "lifted"])
def test_many_positives_in_the_memory(x64, name):
    """Beyond those that are gathered."""
    x, labels = make_case(3, classes=2)
    x, labels = np.concatenate([x, x[BATCH:] + 1]), np.append(labels, labels[BATCH:])
    memory = remember(x[BATCH:], labels[BATCH:], size=len(x))
    value = evaluate(name, x[:BATCH], labels[:BATCH], memory, convention="paper")
    expected = oracle(name)(x, labels, NUMBER, BATCH)
    assert_close(value, expected, 1e-12, label=name)


def test_a_memory_keeps_the_latest_items():
    rng = np.random.default_rng(0)
    memory, kept = losses.init_memory(7, 1), deque(maxlen=7)
    update = jax.jit(losses.update_memory)
    for turn in range(12):
        x = rng.normal(size=(3 if turn % 4 else 10, 1)).astype(np.float32)
        labels, where = rng.integers(0, 9, len(x)), rng.random(len(x)) < 0.7
        memory = update(memory, x, labels, where=where)
        kept.extend(zip(x[where, 0].tolist(), labels[where].tolist(), strict=True))
        found = zip(
            memory.embeddings[memory.filled, 0].tolist(),
            memory.labels[memory.filled].tolist(),
            strict=True,
        )
        assert sorted(found) == sorted(kept)


BATCH_OF_TWO = np.zeros((2, 3), np.float32), np.zeros(2, int)
EMPTY = losses.init_memory(4, 3)
ERRORS = [
    *(
        (losses.init_memory, (4, 3), {"dtype": dtype}, "`dtype` must be a float")
        for dtype in (jnp.int32, "flaot", None, np.float64)
    ),
    (losses.init_memory, (0, 3), {}, "`size` must be a positive int"),
    (losses.init_memory, (4, 2.5), {}, "`dim` must be a positive integer"),
    (
        losses.update_memory,
        (losses.init_memory(4, 4), *BATCH_OF_TWO),
        {},
        "of 3 numbers, as the batch has, got 4",
    ),
    (
        losses.update_memory,
        (EMPTY, BATCH_OF_TWO[0], np.zeros(2)),
        {},
        "`labels` must be integer",
    ),
    (
        losses.update_memory,
        (EMPTY, BATCH_OF_TWO[0], np.zeros(2, np.uint32)),
        {},
        "`labels` must fit the memory's int32, got ui",
    ),
    (
        losses.update_memory,
        (None, *BATCH_OF_TWO),
        {},
        "must come from `init_memory`, got None",
    ),
    *(
        (losses.lifted_loss, BATCH_OF_TWO, {"memory": memory}, message)
        for memory, message in (
            (losses.init_memory(4, 4), "`memory` must hold embeddings"),
            (BATCH_OF_TWO, "must come from `init_memory`, got a tuple"),
            (
                EMPTY._replace(next=jnp.zeros(())),
                "`memory.next` must be integer, got float",
            ),
            (
                EMPTY._replace(filled=EMPTY.filled[:2]),
                "`memory.filled` must have one entry for",
            ),
            (
                EMPTY._replace(labels=EMPTY.labels / 2),
                "`memory.labels` must be integer",
            ),
        )
    ),
]


@pytest.mark.parametrize(
    ("function", "arguments", "options", "message"),
    ERRORS,
    ids=[f"{function.__name__}, {message}" for function, *_, message in ERRORS],
)
def test_errors_of_memories_name_the_argument(function, arguments, options, message):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        function(*arguments, **options)
    assert str(caught.value).startswith(f"{function.__name__}: ")


def test_lifted_of_one_anchor_and_a_memory(x64):
    """The original counts ordered pairs, so that this one counts whole."""
    x, labels = np.array([[0.0], [1.0], [2.0]]), np.array([0, 1, 2])
    memory = remember(x[1:], labels[1:], size=2)
    value = losses.lifted_loss(x[:1], labels[:1], margin=NUMBER, memory=memory)
    repulsion = np.log(2 * np.exp(NUMBER - np.array([1.0, 2.0])).sum())
    assert_close(value, (repulsion + 1e-8) ** 2 / 2, 1e-12, label="lifted")


def test_absent_items_are_no_positives():
    """Empty places share a label, and would be the longest run of all."""
    x, labels = make_case(4)
    memory = losses.init_memory(500, DIM)
    valid = np.arange(len(x)) < 12
    pairs = make_pairs(
        jnp.asarray(x), jnp.asarray(labels * valid), jnp.asarray(valid), memory
    )
    sizes = find_class_runs(pairs.anchors, pairs.references).size
    own = [np.sum(labels[:12] == label) for label in labels[:12]]
    assert sizes.tolist() == own + [0] * (len(x) - 12)


def test_a_memory_takes_wider_and_narrower_types(x64):
    """Labels and embeddings that do not fit each other's types."""
    x, labels = make_case(5)
    expected = losses.contrastive_loss(
        x[:BATCH], labels[:BATCH], memory=remember(x[BATCH:], labels[BATCH:])
    )
    for dtype, shift in ((np.int8, 0), (np.uint8, 0), (np.uint64, 2**60)):
        memory = remember(x[BATCH:], labels[BATCH:] + shift)
        wide = (labels[:BATCH] + shift).astype(dtype)
        assert losses.contrastive_loss(x[:BATCH], wide, memory=memory) == expected
    memory = losses.init_memory(1, 1, dtype=jnp.float16)
    memory = losses.update_memory(memory, np.array([[1e60]]), np.array([1]))
    assert np.isfinite(memory.embeddings).all()
    memory = memory._replace(embeddings=jnp.array([[1e60]]))
    value = losses.contrastive_loss(
        np.float32([[1], [2]]), np.array([1, 1]), memory=memory
    )
    assert np.isfinite(value)
