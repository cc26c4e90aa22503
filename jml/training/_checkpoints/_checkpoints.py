"""Checkpoints of a training state: saved in the background, restored bit for bit.

What a checkpoint holds is in ``_contents``. Orbax writes it into a temporary folder,
which it renames when it is complete: a process may die at any moment. Before a
checkpoint is restored, it is checked here that it belongs to this network and this
configuration; and afterwards, by checksums, that the arrays are those that were saved.
"""

import math
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp

from jml._checks import check_count
from jml._names import quoted, utf8_path
from jml._output import write_out
from jml._value_checks import check_fields, check_functions, check_path, check_type
from jml.errors import UserError
from jml.training._step import TrainState

from . import _contents as contents
from ._orbax import Unreadable, open_manager, put_aside, reading, saving, silence


class Checkpoints:
    """The checkpoints in one folder: the last few, and the best by Recall@1."""

    def __init__(
        self,
        folder: Path | str,
        *,
        keep: int = 2,
        about: Mapping[str, Any] | None = None,
        check: Callable[[Mapping[str, Any]], None] = lambda about: None,
        notify: Callable[[str], None] = write_out,
    ) -> None:
        """Opens or makes the folder, and removes what an interrupted save left there.

        Args:
            folder: where the checkpoints are, one folder each, named after its step.
            keep: how many of the last checkpoints to keep.
            about: what to save with each checkpoint, as JSON: a configuration, say.
            check: called with that of a checkpoint before it is restored; it raises a
                UserError if the checkpoint belongs to another run.
            notify: called with a line that the user should read; prints by default.

        Raises:
            UserError: the folder cannot be written, or is no folder.
            ValueError: an argument is of the wrong kind, or `keep` is not positive.
        """
        check_count("Checkpoints", "keep", keep)
        self.folder = check_path("Checkpoints", "folder", folder).absolute()
        check_type("Checkpoints", "about", about or {}, Mapping, "a mapping")
        check_functions("Checkpoints", check=check, notify=notify)
        self._about, self._check, self._notify = dict(about or {}), check, notify
        self._scores: dict[int, float] = {}
        self._closed = False
        self._handled: set[int] = set()  # steps restored or saved by this object
        if self.folder.exists() and not self.folder.is_dir():
            problem = "is not a folder; remove it, or choose another."
            raise UserError(f"`folder`: {quoted(self.folder)} {problem}")
        with ExitStack() as stack:  # is closed if something below fails
            stack.enter_context(silence())
            with saving(self.folder):
                # TensorStore, which writes the arrays, can open no other path.
                path = stack.enter_context(utf8_path(self.folder))
                self._manager = open_manager(path, keep, self._scores)
            for step in self.steps:
                with suppress(Unreadable):  # `restore` reports it
                    self.set_score(step, self._read_about(step).get(contents.BEST, -1))
            self._opened = stack.pop_all()

    @property
    def steps(self) -> list[int]:
        """The steps that have a checkpoint, in order."""
        return sorted(self._manager.all_steps())

    def save(
        self, state: TrainState, scores: Mapping[str, float] | None = None
    ) -> None:
        """Saves in the background, after an earlier save has ended.

        Args:
            state: may be donated to a step as soon as this returns.
            scores: of an evaluation. The checkpoint with the highest "recall@1" stays.

        Raises:
            UserError: the disk is full, or the folder cannot be written; or it has a
                checkpoint of this step that was neither saved nor restored by this
                object.
        """
        check_fields("save", "state", state, "step", "a state from `init_state`")
        step = int(state.step)
        if step in self._handled:
            return
        if step in self.steps:
            raise UserError(
                f"`folder`: {quoted(self.folder)} has a checkpoint of step {step}"
                " already; restore it first, or choose another folder."
            )
        self._handled.add(step)
        arrays = contents.arrays_by_name(state)
        about = contents.make_about(arrays, self._about, scores)
        if contents.BEST in about:
            self.set_score(step, about[contents.BEST])
        with saving(self.folder):
            self._manager.wait_until_finished()
            self._manager.save(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.StandardSave(arrays),
                    about=ocp.args.JsonSave(about),
                ),
                force=True,
            )

    def set_score(self, step: int, score: float) -> None:
        """Sets the score of a step's checkpoint; the one with the highest stays."""
        self._scores[step] = -1 if math.isnan(score) else score

    def restore(self, state: TrainState) -> TrainState:
        """Returns the last state that was saved, or `state` itself if there is none.

        A checkpoint that cannot be read is reported and renamed, and the one before it
        is used.

        Args:
            state: has the shapes, dtypes and devices to restore; its values are unused.

        Raises:
            UserError: the checkpoint is of another program, network or configuration,
                or no checkpoint can be read.
        """
        check_fields("restore", "state", state, "step", "a state from `init_state`")
        unreadable: dict[int, str] = {}
        for step in reversed(self.steps):
            try:
                restored = self._restore(step, state)
            except Unreadable as error:
                unreadable[step] = str(error)
                continue
            for earlier, reason in unreadable.items():
                path = put_aside(self._manager, self.folder, earlier)
                self._notify(
                    f"checkpoint {earlier} cannot be read ({reason}); it is at"
                    f" {quoted(path)} now, and the one before it is used"
                )
            self._handled.add(step)
            return restored
        if unreadable:
            step, reason = next(iter(unreadable.items()))
            raise UserError(
                f"`folder`: no checkpoint in {quoted(self.folder)} can be read ({step}:"
                f" {reason}); choose another folder, or remove this one."
            )
        return state

    def wait(self) -> None:
        """Returns when everything that was saved is on disk."""
        with saving(self.folder):
            self._manager.wait_until_finished()

    def close(self) -> None:
        """Waits like `wait`, and closes the folder; a second call does nothing."""
        with self._opened.pop_all(), saving(self.folder):
            if not self._closed:
                self._closed = True
                self._manager.close()

    def _restore(self, step: int, state: TrainState) -> TrainState:
        about, path = self._read_about(step), str(self.folder / str(step))
        if not about:
            raise UserError(
                f"`folder`: {quoted(path)} is no checkpoint of this version of JML;"
                " choose another folder."
            )
        self._check(about)
        wanted = contents.arrays_by_name(jax.tree.map(jnp.asarray, state))
        contents.check_same_arrays(wanted, about["arrays"], path)
        target = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding),
            wanted,
        )
        with reading():
            items = ocp.args.Composite(state=ocp.args.StandardRestore(target))
            arrays = self._manager.restore(step, args=items)["state"]
            contents.check_unchanged(arrays, about["arrays"])
        return jax.tree.unflatten(jax.tree.structure(state), arrays.values())

    def _read_about(self, step: int) -> dict[str, Any]:
        with reading():
            items = ocp.args.Composite(about=ocp.args.JsonRestore())
            return contents.check_about(
                self._manager.restore(step, args=items)["about"]
            )
