"""Batches made ahead of time, while the device computes earlier ones."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import islice, takewhile
from typing import Any, TypeVar

from jml._value_checks import check_functions, check_type

AHEAD = 2
T = TypeVar("T")
_END = object()


def prefetch(
    batch: Callable[[int], T], steps: Iterable[int]
) -> Generator[T, None, None]:
    """Yields ``batch(step)`` for each step; a thread makes the next two in advance.

    What `batch` raises is raised here, when its step is due.

    >>> list(prefetch(lambda step: step * step, range(4)))
    [0, 1, 4, 9]
    """
    check_functions("prefetch", batch=batch)
    check_type("prefetch", "steps", steps, Iterable, "an iterable of steps")
    pending: deque[Future[T]] = deque()
    pool = ThreadPoolExecutor(1, thread_name_prefix="prefetch")
    try:
        for step in steps:
            pending.append(pool.submit(batch, step))
            if len(pending) > AHEAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def prefetch_any(
    batches: Callable[[int], Any] | Iterable[Any], steps: range
) -> Generator[Any, None, None]:
    """Yields the batches of `steps`, from a function of the step or from an iterable.

    An iterable is read from its beginning, so that the batches of earlier steps are
    skipped. It may end early.
    """
    if callable(batches):
        ahead = prefetch(batches, steps)
    else:
        rest = islice(iter(batches), steps.start, None)
        ahead = prefetch(lambda _: next(rest, _END), steps)
    with closing(ahead):
        yield from takewhile(lambda batch: batch is not _END, ahead)
