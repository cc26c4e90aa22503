"""Processes that die while they write embeddings, until one has come to the end.

A script, because a process with JAX's threads should not fork.
"""

import os
import sys
import traceback
from pathlib import Path

from jml.errors import UserError
from tests.inference.test_embedding_parts import fill, make


def die_at(write, path):
    """Does the work, and ends the process at a certain write, without cleaning up."""
    left = write

    def counted(do):
        def call(*arguments, **options):
            nonlocal left
            left -= 1
            if left < 0:
                os._exit(9)
            return do(*arguments, **options)

        return call

    os.replace, os.fsync = counted(os.replace), counted(os.fsync)
    parts = make(path)
    fill(parts, parts.begin())
    parts.finish()


def in_child(do, *arguments):
    """The exit code of a forked process that calls a function."""
    child = os.fork()
    if not child:
        code = 1
        try:
            do(*arguments)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def begin(path):
    try:
        make(path).begin()
    except UserError as error:
        print(error, flush=True)


def main(folder):
    for suffix in (".parquet", ".npy"):
        path, deaths = folder / f"x{suffix}", 0
        while (code := in_child(die_at, deaths, path)) == 9:
            deaths += 1
        assert code == 0, code
        print(suffix, deaths, "deaths")
    locked = folder / "locked.npy"
    make(locked).begin()
    in_child(begin, locked)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
