"""Workers take files in an order that keeps all of them busy."""

from pathlib import Path
from types import SimpleNamespace

from tests import order

ROOT = Path(__file__).parents[1]


def items(file, number, marker=None):
    def get_closest_marker(name):
        return marker if name == marker else None

    names = [f"{file}::test_{i}[a::b]" for i in range(number)]
    return [
        SimpleNamespace(nodeid=name, get_closest_marker=get_closest_marker)
        for name in names
    ]


def test_files_that_take_long_are_there():
    assert [file for file in order.SECONDS if not (ROOT / file).is_file()] == []


def test_long_files_come_first_and_stay_whole():
    long, few = "tests/losses/test_devices.py", "tests/test_few.py"
    slow, many = "tests/test_slow.py", "tests/test_many.py"
    given = items(few, 3) + items(many, 30) + items(long, 2) + items(slow, 4, "slow")
    ordered = order.longest_first(given)
    assert ordered == given[33:35] + given[35:] + given[3:33] + given[:3]
