"""Times functions against each other in one process."""

import statistics
import time
from collections.abc import Callable

TURNS = 3
WARMING = 2  # runs at the start of a turn, at most
PAUSE = 0.4  # PyTorch's threads spin for 0.2 s after their last task


def median_seconds(
    functions: list[Callable],
    seconds: float,
    *,
    at_least: int = 0,
    pause: float = PAUSE,
) -> list[float]:
    """Median run time of each function, in turns of about `seconds` each.

    A slow moment of the machine then touches all of them. Two runs warm a turn up, or
    one that takes longer than a turn, and a turn starts when the threads of the last
    one sleep. Each runs `at_least` so often.
    """
    times = [[] for _ in functions]
    for function, record in [*zip(functions, times, strict=True)] * TURNS:
        time.sleep(pause)
        start = time.perf_counter()
        for _ in range(WARMING):
            function()
            if time.perf_counter() > start + seconds:
                break
        enough = len(record) + -(-at_least // TURNS)
        first = start = time.perf_counter()
        while start < first + seconds or len(record) < enough:
            function()
            end = time.perf_counter()
            record.append(end - start)
            start = end
    return [statistics.median(record) for record in times]
