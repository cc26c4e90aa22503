"""The folder a run writes: configuration, metrics, weights and a plot.

A folder is claimed before any long work: one that cannot be written, or that holds an
earlier run, is reported at once. Nothing in it changes before ``start``.
"""

import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from jml._attempts import Attempts
from jml._names import quoted
from jml._whole_files import remove, replace, writing
from jml.app._config import Config, check_same_run
from jml.errors import UserError
from jml.report import FILES, save_plot

from ._claim import has_checkpoint, latest_name, lock_folder, new_name
from ._finished_run import CLASS_WEIGHTS, WEIGHTS, read_config, read_records

# Everything in the folder of a run.
RUN_FILES = ("config.json", "metrics.jsonl", *WEIGHTS.values(), "plot.png")
RUN_FILES += (*CLASS_WEIGHTS.values(), *FILES, "checkpoints", "profile", "tensorboard")

FLAG = "--checkpoints_path"  # what errors name when the folder cannot be written


class RunFolder:
    """One run's folder: ``claim``, then ``start``, and at the end ``release``."""

    def __init__(
        self, path: Path, *, resumed: bool = False, is_writer: bool = True
    ) -> None:
        """Claims nothing yet; `claim` does.

        Args:
            path: of the folder.
            resumed: it holds the beginning of this run.
            is_writer: whether this process writes the folder; of several, one does.
        """
        self.path, self.resumed, self.is_writer = path, resumed, is_writer
        # The configuration of the checkpoints to go on from; None if there are none.
        self.saved_config: dict[str, Any] | None = None
        self.notes: tuple[str, ...] = ()  # lines that the user should read
        self.records: list[dict[str, Any]] = []  # the lines of metrics.jsonl
        self._metrics: Any = None
        self._lock: int | None = None
        # Folders that did not exist before, outermost first.
        self._created: list[Path] = []

    @classmethod
    def claim(cls, config: Config) -> "RunFolder":
        """Finds or makes the run's folder, and checks that it can be written.

        Raises:
            UserError: the folder cannot be written; another run is writing it; it holds
                an earlier run, and neither ``overwrite`` nor ``resume`` is on; or it
                holds a run that cannot be resumed.
        """
        with writing(Path(config.checkpoints_path), FLAG):
            name = config.name or (latest_name(config) if config.resume else None)
            run = cls._named(config, name) if name else cls._new(config)
            run._lock = lock_folder(run.path)
            probe = run.path / f".writable-{os.getpid()}"
            probe.touch()
            probe.unlink()
        return run

    @classmethod
    def _named(cls, config: Config, name: str) -> "RunFolder":
        run = cls(Path(config.checkpoints_path, name))
        earlier = [name for name in RUN_FILES if (run.path / name).exists()]
        if earlier and config.resume:
            saved = asdict(read_config(run.path))
            check_same_run(run.path, config.resumed_from(saved), saved)
            run.resumed = True
            run.saved_config = saved if has_checkpoint(run.path) else None
        elif earlier and not config.overwrite:
            raise UserError(
                f"--name: {quoted(run.path)} holds an earlier run ({earlier[0]});"
                " choose another --name, or pass --resume to go on with that run, or"
                " --overwrite to replace it."
            )
        if not run.path.is_dir():
            run._make()
        return run

    @classmethod
    def _new(cls, config: Config) -> "RunFolder":
        base, number = new_name(config), 1
        while True:
            name = base if number == 1 else f"{base}-{number}"
            run = cls(Path(config.checkpoints_path, name))
            try:
                run._make()
                return run
            except FileExistsError:  # another run started in the same second
                number += 1

    def _make(self) -> None:
        for folder in reversed(self.path.parents):
            if not folder.exists():
                folder.mkdir(exist_ok=True)
                self._created.append(folder)
        self.path.mkdir()
        self._created.append(self.path)

    def release(self) -> None:
        """Closes the folder; removes what `claim` made, if the run has not started."""
        self.close()
        if self._metrics is None:
            for folder in reversed(self._created):
                with suppress(OSError):  # another run has begun to use it
                    folder.rmdir()

    def start(self, config: Config, *, done: int = 0) -> None:
        """Replaces an earlier run, if any; writes the configuration; opens the log.

        Args:
            config: of this run.
            done: steps that a resumed run has taken; what was logged of them stays.
        """
        if self.resumed:
            records = read_records(self.path)
            tested = [r for r in records if r.get("step", 0) and "recall@1" in r]
            # A run that was killed may lack a checkpoint until its second evaluation.
            # After that somebody has removed them.
            if not done and len(tested) > 2:
                raise self.no_checkpoint()
            self.records = [r for r in records if r.get("step", 0) <= done and done]
        if not self.is_writer:
            return
        text = json.dumps(asdict(config), indent=2) + "\n"
        metrics = self.path / "metrics.jsonl"
        lines = "".join(json.dumps(record) + "\n" for record in self.records)
        with self.writing_folder():
            if config.overwrite:
                for name in RUN_FILES:
                    remove(self.path / name)
            replace(self.path / "config.json", lambda path: path.write_text(text))
            if self.resumed:
                replace(metrics, lambda path: path.write_text(lines, encoding="utf-8"))
            mode = "a" if self.resumed else "x"
            self._metrics = metrics.open(mode, encoding="utf-8")

    def no_checkpoint(self) -> UserError:
        """Returns the error for a run that has no checkpoint to go on from."""
        return UserError(
            f"--resume: {quoted(self.path)} holds a run but no checkpoint of it;"
            " choose another --name, or pass --overwrite to start again."
        )

    def log(self, **record: Any) -> None:
        """Appends a line to metrics.jsonl, and flushes it."""
        self.records.append(record)
        if not self.is_writer:
            return
        with writing(self.path / "metrics.jsonl", FLAG):
            self._metrics.write(json.dumps(record) + "\n")
            self._metrics.flush()

    def save(
        self, write_weights: Callable[[Path], None], *, best: bool, attempts: Attempts
    ) -> None:
        """Replaces the files of the weights and the plot; each is always complete.

        Args:
            write_weights: writes the current weights to a path, whole or not at all.
            best: whether they are the best so far, and also go to the file of these.
            attempts: notes the files that cannot be written.
        """
        if not self.is_writer:
            return
        write = {WEIGHTS["last"]: write_weights}
        if best:
            write[WEIGHTS["best"]] = write_weights
        write["plot.png"] = partial(
            replace, write=lambda path: save_plot(path, self.records)
        )
        for name, write_to in write.items():
            with attempts.at(name), self.writing_folder():
                write_to(self.path / name)

    def writing_folder(self) -> AbstractContextManager[None]:
        """Turns the system's refusal to write in the folder into a UserError."""
        return writing(self.path, FLAG)

    def close(self) -> None:
        """Closes the log, and unlocks the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        if self._metrics is not None:
            with suppress(OSError):  # `log` has reported what could not be written
                self._metrics.close()
