"""Which files of tests a worker takes first: those that take longest.

A long file that is begun last keeps one worker busy while the others have none to take.
"""

from collections import defaultdict

# Processor seconds of files that take long for the number of their tests. What is wrong
# here costs time, and nothing else.
SECONDS = {
    "tests/app/test_compile_ahead.py": 9,
    "tests/evaluation/test_spread.py": 20,
    "tests/examples/test_ray_embed.py": 30,
    "tests/losses/test_definitions.py": 92,
    "tests/losses/test_devices.py": 98,
    "tests/losses/test_parity.py": 35,
    "tests/losses/test_scale.py": 40,
    "tests/models/test_parity.py": 48,
    "tests/pairwise/test_memory.py": 40,
    "tests/report/test_browser.py": 26,
    "tests/tiles/test_devices.py": 20,
    "tests/training/test_devices.py": 90,
    "tests/training/test_parity_training.py": 26,
    "tests/training/test_resume.py": 38,
}
OF_QUICK, OF_SLOW = 0.1, 1.0  # processor seconds of a test of the other files


def longest_first(items):
    """Pytest's items file by file, those of each in the order they had."""
    sums = defaultdict(float)
    for item in items:
        sums[file_of(item)] += OF_SLOW if item.get_closest_marker("slow") else OF_QUICK
    seconds = sums | SECONDS
    return sorted(items, key=lambda item: (-seconds[file_of(item)], file_of(item)))


def file_of(item):
    return item.nodeid.partition("::")[0]
