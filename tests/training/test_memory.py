"""What the allocator's settings do, each in a process of its own."""

import platform
import subprocess
import sys

import pytest

RESIDENT_AFTER_FREEING = """
import numpy, resource
from jml.training import keep_freed_memory
{call}
numpy.ones(2**23).sum()  # 64 MiB, freed at once
pages = int(open("/proc/self/statm").read().split()[1])
print(pages * resource.getpagesize())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries stay")
def test_freed_memory_stays_with_the_process():
    def resident(call):
        code = RESIDENT_AFTER_FREEING.format(call=call)
        run = [sys.executable, "-c", code]
        return int(subprocess.check_output(run, text=True))

    assert resident("keep_freed_memory()") - resident("") > 2**25
