"""Orbax as checkpoints need it: a manager, what it keeps, its errors and its noise."""

import gc
import inspect
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers as policies

from jml._whole_files import cannot_write


def open_manager(
    path: Path | str, keep: int, scores: Mapping[int, float]
) -> ocp.CheckpointManager:
    """Opens the checkpoints in a folder, and removes unfinished ones.

    Args:
        path: the folder, which is made if it is not there.
        keep: how many of the last checkpoints stay.
        scores: the score by step, of which the best stays; it may change later.
    """
    return ocp.CheckpointManager(
        path,
        options=ocp.CheckpointManagerOptions(
            preservation_policy=LastAndBest(keep, scores),
            cleanup_tmp_directories=True,
        ),
        item_handlers={
            "state": ocp.StandardCheckpointHandler(),
            "about": ocp.JsonCheckpointHandler(),
        },
    )


class LastAndBest(policies.PreservationPolicy):
    """Keeps the last checkpoints and the best; of equal scores the latest is best."""

    def __init__(self, last: int, scores: Mapping[int, float]) -> None:
        self._last, self._scores = last, scores

    def should_preserve(
        self, checkpoints: Sequence[policies.PolicyCheckpointInfo], *, context: Any
    ) -> Sequence[bool]:
        steps = [checkpoint.step for checkpoint in checkpoints]
        best = max(steps, key=lambda step: (self._scores.get(step, -1), step))
        return [step == best or step in steps[-self._last :] for step in steps]


class Unreadable(Exception):
    """A checkpoint is there but cannot be read."""


@contextmanager
def reading() -> Iterator[None]:
    """Turns a failure to read, of whatever kind, into `Unreadable`."""
    try:
        yield
        return
    except (MemoryError, PermissionError):
        raise  # these say nothing about the checkpoint
    except Exception as error:
        if "RESOURCE_EXHAUSTED" in str(error):
            raise
        lines = str(error).splitlines() or [repr(error)]
    gc.collect()  # now, while `silence` is in force
    raise Unreadable(lines[0][:100])


@contextmanager
def saving(folder: Path) -> Iterator[None]:
    """Turns a full disk, or a folder that may not be written, into a UserError.

    TensorStore reports both as a ValueError.
    """
    try:
        yield
        return
    except (OSError, ValueError) as error:
        reason = str(getattr(error, "strerror", None) or error)
        of_disk = "os_error_code" in reason or reason.startswith("Save failed")
        if isinstance(error, ValueError) and not of_disk:
            raise
    if "No space left" in reason:
        reason = "No space left on device"
    gc.collect()  # now, while `silence` is in force
    raise cannot_write(folder, reason.splitlines()[0])


def put_aside(manager: ocp.CheckpointManager, folder: Path, step: int) -> Path:
    """Renames the checkpoint of a step, and returns its new path.

    In its place it would prevent a new checkpoint of the same step.
    """
    path = first = folder.with_name(f"unreadable-{folder.name}-{step}")
    for number in count(1):
        if not path.exists():
            break
        path = first.with_name(f"{first.name}-{number}")
    with saving(folder):
        if jax.process_index() == 0:
            (folder / str(step)).rename(path)
        manager.reload()
    return path


def silence() -> ExitStack:
    """Silences what Orbax and TensorStore print beside the errors that they raise.

    After an error they abandon the work on all other arrays, and print a traceback for
    each: from threads, and when Python collects what is left.

    Returns:
        A stack that ends the silence when it is closed.
    """
    logger, stack = logging.getLogger("absl"), ExitStack()
    hook, unraisable = sys.excepthook, sys.unraisablehook

    def in_thread(kind: Any, error: BaseException, trace: Any) -> None:
        if not _is_abandoned(error):
            hook(kind, error, trace)

    def when_collected(args: Any) -> None:
        if not _is_abandoned(args.exc_value) and not inspect.iscoroutine(args.object):
            unraisable(args)

    stack.callback(logger.setLevel, logger.level)
    stack.callback(setattr, sys, "excepthook", hook)
    stack.callback(setattr, sys, "unraisablehook", unraisable)
    logger.setLevel(logging.CRITICAL)
    sys.excepthook, sys.unraisablehook = in_thread, when_collected
    return stack


def _is_abandoned(error: BaseException | None) -> bool:
    return "Event loop is closed" in str(error)
