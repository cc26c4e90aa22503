import time

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from jml.data import cub_batch, in_shop_batch, pk_batch
from jml.errors import UserError


@st.composite
def draws(draw):
    """Labels in any order, with gaps and uneven classes, and a batch that fits them."""
    counts = draw(st.lists(st.integers(1, 9), min_size=2, max_size=8))
    names = draw(st.lists(st.integers(-5, 99), min_size=8, max_size=8, unique=True))
    labels = draw(st.permutations(np.repeat(names[: len(counts)], counts).tolist()))
    largest = draw(st.sampled_from([1, 4]))
    usable = [c for c in counts if c >= min(2, largest)]
    assume(len(usable) > 1)
    k = draw(st.integers(min(2, largest), min(largest, sum(usable) // 2)))
    p = draw(st.integers(2, min(len(usable), sum(usable) // k)))
    return np.array(labels), p, k


@settings(max_examples=150, deadline=None)
@given(draws(), st.integers(0, 2**31 - 1), st.integers(0, 10**6))
def test_the_sampler_draws_p_classes_of_k_images(case, seed, step):
    labels, p, k = case
    batch = pk_batch(labels, seed=seed, step=step, batch_size=p * k, images_per_class=k)
    assert batch.shape == (p * k,)
    assert np.issubdtype(batch.dtype, np.integer)
    groups = batch.reshape(p, k)
    own = labels[groups]
    assert (own == own[:, :1]).all()
    assert len(set(own[:, 0].tolist())) == p
    for group, label in zip(groups, own[:, 0], strict=True):
        available = (labels == label).sum()
        used = np.bincount(np.unique(group, return_inverse=True)[1])
        assert len(used) == min(k, available)
        assert used.max() - used.min() <= 1


LABELS = np.repeat(np.arange(40), 12)
OPTIONS = {"batch_size": 32, "images_per_class": 4}


def test_the_sampler_is_a_pure_function_of_seed_and_step():
    def batch(seed, step):
        return pk_batch(LABELS, seed=seed, step=step, **OPTIONS).tolist()

    late_first = [batch(3, step) for step in (5, 1)]
    np.random.seed(0)  # global state must not matter
    assert [batch(3, step) for step in (1, 5)] == late_first[::-1]
    distinct = {tuple(batch(seed, step)) for seed in range(4) for step in range(4)}
    assert len(distinct) == 16  # (0, 1) and (1, 0) differ too


def test_the_sampler_draws_every_image_equally_often():
    steps = 3000
    counts = np.zeros(len(LABELS), int)
    for step in range(steps):
        counts[pk_batch(LABELS, seed=0, step=step, **OPTIONS)] += 1
    expected = steps * 32 / len(LABELS)
    statistic = ((counts - expected) ** 2 / expected).sum()
    # Fixed seed; chi-squared with 479 degrees of freedom at most (drawing without
    # replacement varies less) lies below 570 with probability 0.998.
    assert 300 < statistic < 570


@pytest.mark.parametrize(
    ("labels", "batch_size", "k", "words"),
    [
        (LABELS, 30, 4, ("30", "not a multiple of `images_per_class=4`", "28")),
        (LABELS, 164, 4, ("164", "160 is the largest")),  # more classes than there are
        (LABELS, 3, 4, ("3", "from 8 does, and 160 is the largest")),
        (LABELS, 0, 4, ("0", "from 8 does, and 160 is the largest")),
        (LABELS, 4, 4, ("4", "a single class, it has no negative", "from 8 does")),
        (np.arange(10) // 5, 9, 3, ("9", "6 is the only one")),
    ],
)
def test_a_batch_size_that_does_not_fit_is_answered_by_one_that_does(
    labels, batch_size, k, words
):
    with pytest.raises(UserError) as caught:
        pk_batch(labels, seed=0, step=0, batch_size=batch_size, images_per_class=k)
    message = str(caught.value)
    assert message.startswith("`batch_size`: ") and "\n" not in message
    assert all(word in message for word in words)


def test_the_sampler_skips_or_repeats_classes_with_one_image():
    labels = np.array([5, 7, 7, 9, 7, 3, 3, 3, 3, 7])
    options = {"seed": 0, "batch_size": 8, "images_per_class": 4}
    drawn = set()
    for step in range(40):
        batch = pk_batch(labels, step=step, **options)
        assert set(labels[batch].tolist()) == {3, 7}  # as ever
        groups = pk_batch(labels, step=step, singletons="views", **options)
        for group in groups.reshape(2, 4):
            (label,) = set(labels[group].tolist())
            assert len(set(group.tolist())) == (labels == label).sum()
            drawn.add(label)
    assert drawn == {3, 5, 7, 9}
    with pytest.raises(ValueError, match="`singletons` must be one of skip, views"):
        pk_batch(labels, step=0, singletons="drop", **options)


@pytest.mark.parametrize(
    ("counts", "batch_size", "k", "views", "words"),
    [
        ([5, 5], 12, 6, False, ["`images_per_class`: 6", "pass 5 or less", "of 10."]),
        (
            [1, 1, 1],
            8,
            4,
            False,
            ["0 of 3 training classes have", '`singletons="views"`'],
        ),
        (
            [3, 1, 1],
            8,
            4,
            False,
            ["1 of 3 training classes has", '`singletons="views"`'],
        ),
        (
            [3],
            8,
            4,
            False,
            ["1 of 1 training classes has two images or more", "images."],
        ),
        ([9, 2, 1], 16, 4, False, ["11 images in 2 classes", "8 is the only one"]),
        ([1, 1, 1], 16, 4, True, ["3 images in 3 classes", "and 12 is the largest"]),
    ],
)
def test_errors_of_the_sampler_name_sizes_that_work(
    counts, batch_size, k, views, words
):
    labels = np.repeat(np.arange(len(counts)), counts)
    options = {"batch_size": batch_size, "images_per_class": k}
    options["singletons"] = "views" if views else "skip"
    with pytest.raises(UserError) as caught:
        pk_batch(labels, seed=0, step=0, **options)
    message = str(caught.value)
    assert "\n" not in message and " 0 is" not in message
    assert all(word in message for word in words)


UNEVEN = np.repeat(np.arange(30), np.arange(30) % 15 + 1)  # 1 to 15 images


@pytest.mark.parametrize("sampler", [cub_batch, in_shop_batch])
@pytest.mark.parametrize("step", range(20))
def test_the_samplers_of_the_original_draw_as_it_does(sampler, step):
    batch = sampler(UNEVEN, seed=1, step=step, batch_size=64)
    assert batch.tolist() == sampler(UNEVEN, seed=1, step=step, batch_size=64).tolist()
    assert len(batch) == len(set(batch.tolist())) == 64
    available = np.bincount(UNEVEN)
    used = np.bincount(UNEVEN[batch], minlength=30)
    assert not used[available == 1].any()
    low, high = np.minimum(5, available), np.minimum(10, available)
    if sampler is in_shop_batch:
        low, high = available // 2, available
    drawn = used > 0
    assert (used <= high)[drawn].all()
    assert (used < low)[drawn].sum() <= 1  # the last one is cut to fill the batch
    assert (np.diff(UNEVEN[batch]) != 0).sum() > drawn.sum()  # shuffled


@pytest.mark.parametrize("sampler", [cub_batch, in_shop_batch])
def test_the_samplers_of_the_original_reach_both_ends(sampler):
    labels = np.repeat(np.arange(20), 12)
    counts = set()
    for step in range(300):
        batch = sampler(labels, seed=0, step=step, batch_size=80)
        counts |= set(np.bincount(labels[batch]).tolist())
    low, high = (5, 10) if sampler is cub_batch else (6, 12)
    assert set(range(low, high + 1)) <= counts
    assert max(counts) == high


@pytest.mark.parametrize(
    ("sampler", "counts", "batch_size", "words"),
    [
        # Two classes of 8 give 5 to 8 each: enough for 14 by chance alone.
        (cub_batch, [8, 8], 14, "14 is more than the 10 images .* from 6 to 10"),
        (in_shop_batch, [8, 8], 9, "9 is more than the 8 images .* from 5 to 8"),
        (cub_batch, [8, 8], 5, "5 is filled by a single class.* from 6 to 10"),
        (in_shop_batch, [8, 1], 5, "1 of 2 training classes has two images or more"),
    ],
)
def test_classes_that_may_not_fill_the_batch(sampler, counts, batch_size, words):
    labels = np.repeat(np.arange(len(counts)), counts)
    with pytest.raises(UserError, match=words):
        sampler(labels, seed=0, step=0, batch_size=batch_size)


def test_the_sampler_is_quick_enough_for_the_training_loop():
    labels = np.repeat(np.arange(1000), 13)
    options = {"seed": 0, "batch_size": 128, "images_per_class": 4}
    times = []
    for step in range(30):
        start = time.perf_counter()
        pk_batch(labels, step=step, **options)
        times.append(time.perf_counter() - start)
    assert min(times) < 2e-3  # measured 0.2 ms
