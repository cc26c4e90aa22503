"""Batches made ahead of time, while the device is busy with earlier ones."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

AHEAD = 2
T = TypeVar("T")


def prefetch(
    batch: Callable[[int], T], steps: Iterable[int]
) -> Generator[T, None, None]:
    """Yields ``batch(step)`` for each step, at most ``AHEAD`` of them made early.

    >>> list(prefetch(lambda step: step * step, range(4)))
    [0, 1, 4, 9]
    """
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
