"""The folder a run writes: configuration, metrics, weights and a plot.

A folder is claimed before any long work, so that one that cannot be written, or that
holds an earlier run, is reported at once; until ``start`` nothing in it is changed.
"""

import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from jml import _whole_files
from jml._attempts import Attempts
from jml._whole_files import remove, replace
from jml.app._config import Config
from jml.app._config._consistency import check_same_run
from jml.errors import UserError
from jml.report import FILES as REPORT_FILES
from jml.report import save_plot

from ._earlier_runs import has_checkpoint, latest_name, new_name
from ._finished_run import WEIGHTS, read_config, read_records
from ._lock import lock_folder

FILES = ("config.json", "metrics.jsonl", *WEIGHTS.values(), "plot.png")
FILES += (*REPORT_FILES, "checkpoints", "tensorboard")

writing = partial(_whole_files.writing, argument="--checkpoints_path")


class RunFolder:
    """One run's folder. ``claim`` makes it, ``start`` fills it, ``release`` undoes."""

    def __init__(self, path: Path, *, resumed: bool = False, ours: bool = True) -> None:
        """Only remembers the path; see ``claim``.

        Args:
            path: of the folder.
            resumed: it holds the beginning of this run.
            ours: False in processes that leave the writing to another.
        """
        self.path, self.resumed, self.ours = path, resumed, ours
        # The configuration of the checkpoints that the run goes on from, if there are.
        self.saved: dict[str, Any] | None = None
        self.notes: tuple[str, ...] = ()  # what its user should be told, a line each
        self.records: list[dict[str, Any]] = []
        self._metrics: Any = None
        self._lock: int | None = None
        # Folders that did not exist before, outermost first.
        self._created: list[Path] = []

    @classmethod
    def claim(cls, config: Config) -> "RunFolder":
        """Finds the run's folder and makes sure that it can be written.

        Raises:
            UserError: it cannot be written; another run writes it; it holds an earlier
                run, and neither ``overwrite`` nor ``resume`` is on; or one that cannot
                be resumed.
        """
        with writing(Path(config.checkpoints_path)):
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
        earlier = [name for name in FILES if (run.path / name).exists()]
        if earlier and config.resume:
            saved = asdict(read_config(run.path))
            check_same_run(run.path, config.resumed_from(saved), saved)
            run.resumed = True
            run.saved = saved if has_checkpoint(run.path) else None
        elif earlier and not config.overwrite:
            raise UserError(
                f"--name: {str(run.path)!r} holds an earlier run ({earlier[0]}); choose"
                " another --name, or pass --resume to go on with that run, or"
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
            except FileExistsError:  # of a run that started in the same second
                number += 1

    def _make(self) -> None:
        for folder in reversed(self.path.parents):
            if not folder.exists():
                folder.mkdir(exist_ok=True)
                self._created.append(folder)
        self.path.mkdir()
        self._created.append(self.path)

    def release(self) -> None:
        """Closes; removes the folders ``claim`` made, unless the run has started."""
        self.close()
        if self._metrics is None:
            for folder in reversed(self._created):
                with suppress(OSError):  # somebody else uses it by now
                    folder.rmdir()

    def start(self, config: Config, *, done: int = 0) -> None:
        """Replaces an earlier run, if any; writes the configuration; opens the log.

        Args:
            config: of this run.
            done: steps that a resumed run has behind it; what was logged of them stays.
        """
        if self.resumed:
            found = read_records(self.path)
            tested = [r for r in found if r.get("step", 0) and "recall@1" in r]
            # Before the second a process may die without a checkpoint, but no later.
            if not done and len(tested) > 2:
                raise self.lacks_checkpoint()
            self.records = [r for r in found if r.get("step", 0) <= done and done]
        if not self.ours:
            return
        text = json.dumps(asdict(config), indent=2) + "\n"
        metrics = self.path / "metrics.jsonl"
        lines = "".join(json.dumps(record) + "\n" for record in self.records)
        with writing(self.path):
            if config.overwrite:
                for name in FILES:
                    remove(self.path / name)
            replace(self.path / "config.json", lambda path: path.write_text(text))
            if self.resumed:
                replace(metrics, lambda path: path.write_text(lines, encoding="utf-8"))
            mode = "a" if self.resumed else "x"
            self._metrics = metrics.open(mode, encoding="utf-8")

    def lacks_checkpoint(self) -> UserError:
        """The error where there is nothing to go on from."""
        return UserError(
            f"--resume: {str(self.path)!r} holds a run but no checkpoint of it;"
            " choose another --name, or pass --overwrite to start again."
        )

    def log(self, **record: Any) -> None:
        """Appends one line to metrics.jsonl; it is on its way to disk on return."""
        self.records.append(record)
        if not self.ours:
            return
        with writing(self.path / "metrics.jsonl"):
            self._metrics.write(json.dumps(record) + "\n")
            self._metrics.flush()

    def save(
        self, write_weights: Callable[[Path], None], *, best: bool, attempts: Attempts
    ) -> None:
        """Writes weights and plot anew; each file is whole at any moment.

        Args:
            write_weights: writes those of now to a path.
            best: they are the best so far, and stay when others follow.
            attempts: notes the files that cannot be written.
        """
        if not self.ours:
            return
        write = {WEIGHTS["last"]: write_weights}
        if best:
            write[WEIGHTS["best"]] = write_weights
        write["plot.png"] = lambda path: save_plot(path, self.records)
        for name, write_to in write.items():
            with attempts.at(name), writing(self.path):
                replace(self.path / name, write_to)

    def writing(self) -> AbstractContextManager[None]:
        """Turns a failure to write what else belongs to the run into a UserError."""
        return writing(self.path)

    def close(self) -> None:
        """Closes the log, and lets others write the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        if self._metrics is not None:
            with suppress(OSError):  # what could not be written has been reported
                self._metrics.close()
