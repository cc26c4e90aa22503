"""Checkpoints of a training state: saved in the background, restored bit for bit.

Orbax writes each into a temporary folder and renames it when it is whole, so that a
process may die at any moment. What Orbax leaves to chance is checked here: that the
checkpoint belongs to this network and this configuration, before anything is read, and
that the arrays are those that were saved, by their checksums.
"""

import math
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp

from jml._names import utf8_path
from jml._output import write_out
from jml.errors import UserError
from jml.training._step import TrainState

from ._arrays import arrays_of, check_same_arrays, checksum, describe
from ._orbax_noise import Unreadable, hush, reading, writing
from ._preservation import LastAndBest

FORMAT = "jml training state 1"
BEST = "recall@1"


class Checkpoints:
    """The checkpoints in one folder: the last few, and the best by Recall@1."""

    def __init__(
        self,
        folder: Path | str,
        *,
        keep: int = 2,
        about: Mapping[str, Any] | None = None,
        check: Callable[[Mapping[str, Any]], None] = lambda about: None,
        say: Callable[[str], None] = write_out,
    ) -> None:
        """Opens or makes the folder, and clears up after a save that was cut short.

        Args:
            folder: for the checkpoints, one folder each, named after its step.
            keep: how many of the last to keep.
            about: what belongs to every checkpoint, as JSON: the configuration.
            check: is given that of a checkpoint about to be restored, and raises a
                UserError if it is another run's.
            say: told what a user should know.

        Raises:
            UserError: the folder cannot be written, or holds something else.
        """
        self.folder = Path(folder).absolute()
        self._about, self._check, self._say = dict(about or {}), check, say
        self._scores: dict[int, float] = {}
        self._closed = False
        self._known: set[int] = set()  # steps that were restored or saved from here
        if self.folder.exists() and not self.folder.is_dir():
            raise UserError(
                f"{str(self.folder)!r} is not a folder; remove it, or choose another."
            )
        with ExitStack() as stack:  # closed where something below fails
            stack.enter_context(hush())
            with writing(self.folder):
                # TensorStore, which holds the arrays, takes no other path.
                way = stack.enter_context(utf8_path(self.folder))
                self._manager = ocp.CheckpointManager(
                    way,
                    options=ocp.CheckpointManagerOptions(
                        preservation_policy=LastAndBest(keep, self._scores),
                        cleanup_tmp_directories=True,
                    ),
                    item_handlers={
                        "state": ocp.StandardCheckpointHandler(),
                        "about": ocp.JsonCheckpointHandler(),
                    },
                )
            for step in self.steps:
                with suppress(Unreadable):  # restoring will say so
                    self.score(step, self._read_about(step).get(BEST, -1))
            self._opened = stack.pop_all()

    @property
    def steps(self) -> list[int]:
        """The steps there is a checkpoint of, in order."""
        return sorted(self._manager.all_steps())

    def save(
        self, state: TrainState, scores: Mapping[str, float] | None = None
    ) -> None:
        """Saves in the background; waits for an earlier save that is not done.

        Args:
            state: may be donated to a step as soon as this returns.
            scores: what evaluation found; the one with the highest "recall@1" stays.

        Raises:
            UserError: the disk is full, or the folder cannot be written.
        """
        step = int(state.step)
        if step in self._known:
            return
        if step in self.steps:
            raise UserError(
                f"{str(self.folder)!r} has a checkpoint of step {step} already; restore"
                " it first, or choose another folder."
            )
        self._known.add(step)
        arrays = arrays_of(state)
        about = {
            "format": FORMAT,
            "arrays": {name: describe(array) for name, array in arrays.items()},
            **self._about,
        }
        if scores is not None and BEST in scores:
            about[BEST] = float(scores[BEST])
            self.score(step, about[BEST])
        with writing(self.folder):
            self._manager.wait_until_finished()
            self._manager.save(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.StandardSave(arrays),
                    about=ocp.args.JsonSave({**about, "checksum": checksum(about)}),
                ),
                force=True,
            )

    def score(self, step: int, score: float) -> None:
        """Says how good the checkpoint of a step is: which is the best, that is."""
        self._scores[step] = -1 if math.isnan(score) else score

    def restore(self, state: TrainState) -> TrainState:
        """The last state that was saved, or `state` itself if none was.

        A checkpoint that cannot be read is said, put aside, and the one before it used.

        Args:
            state: of the same shapes, dtypes and devices; its values do not count.

        Raises:
            UserError: the checkpoint is another project's, another network's or another
                configuration's, or none of them can be read.
        """
        unreadable: dict[int, str] = {}
        for step in reversed(self.steps):
            try:
                found = self._restore(step, state)
            except Unreadable as error:
                unreadable[step] = str(error)
                continue
            for number, reason in unreadable.items():
                self._put_aside(number, reason)
            self._known.add(step)
            return found
        if unreadable:
            step, reason = next(iter(unreadable.items()))
            raise UserError(
                f"--resume: no checkpoint in {str(self.folder)!r} can be read ({step}:"
                f" {reason}); choose another folder, or pass --overwrite."
            )
        return state

    def wait(self) -> None:
        """Returns when what was saved is on disk."""
        with writing(self.folder):
            self._manager.wait_until_finished()

    def close(self) -> None:
        """Waits for what is being saved; a second time does nothing."""
        with self._opened.pop_all(), writing(self.folder):
            if not self._closed:
                self._closed = True
                self._manager.close()

    def _restore(self, step: int, state: TrainState) -> TrainState:
        about, where = self._read_about(step), str(self.folder / str(step))
        if not about:
            raise UserError(
                f"--resume: {where!r} is no checkpoint of this version of JML; choose"
                " another --name."
            )
        self._check(about)
        wanted = arrays_of(jax.tree.map(jnp.asarray, state))
        arrays = about["arrays"]
        check_same_arrays(wanted, arrays, where)
        target = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding),
            wanted,
        )
        with reading():
            found = self._manager.restore(
                step, args=ocp.args.Composite(state=ocp.args.StandardRestore(target))
            )["state"]
        for name, array in found.items():
            if describe(array) != arrays[name]:
                raise Unreadable(f"{name} is not what was saved")
        return jax.tree.unflatten(jax.tree.structure(state), found.values())

    def _read_about(self, step: int) -> dict[str, Any]:
        with reading():
            about = self._manager.restore(
                step, args=ocp.args.Composite(about=ocp.args.JsonRestore())
            )["about"]
            if not isinstance(about, dict) or about.get("format") != FORMAT:
                return {}
            if about.pop("checksum") != checksum(about):
                raise ValueError("its description is not what was saved")
            return about

    def _put_aside(self, step: int, reason: str) -> None:
        # Left where it is, it would stand in the way of a new checkpoint of this step.
        name = f"unreadable-{self.folder.name}-{step}"
        names = (f"{name}-{number}" if number else name for number in count())
        aside = next(p for n in names if not (p := self.folder.with_name(n)).exists())
        with writing(self.folder):
            if jax.process_index() == 0:
                (self.folder / str(step)).rename(aside)
            self._manager.reload()
        self._say(
            f"checkpoint {step} cannot be read ({reason}); it is at {str(aside)!r} now,"
            " and the one before it is used"
        )
