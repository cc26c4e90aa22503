"""The folder a run writes: configuration, metrics, weights and a plot.

A folder is claimed before any long work, so that one that cannot be written, or that
holds an earlier run, is reported at once; until ``start`` nothing in it is changed.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from jml.errors import UserError
from jml.report import FILES as REPORT_FILES
from jml.report import save_plot

from .config import Config

FILES = ("config.json", "metrics.jsonl", "weights.safetensors", "plot.png")
FILES += REPORT_FILES


class RunFolder:
    """One run's folder. ``claim`` makes it, ``start`` fills it, ``release`` undoes."""

    def __init__(self, path: Path) -> None:
        """Only remembers the path; see ``claim``."""
        self.path = path
        self.records: list[dict[str, Any]] = []
        self._metrics: Any = None
        self._created: list[
            Path
        ] = []  # folders that did not exist before, outermost first

    @classmethod
    def claim(cls, config: Config) -> "RunFolder":
        """Finds the run's folder and makes sure that it can be written.

        Raises:
            UserError: it cannot be written, or holds an earlier run and ``overwrite``
                is off.
        """
        with _writing(Path(config.checkpoints_path)):
            run = cls._named(config) if config.name else cls._new(config)
            probe = run.path / f".writable-{os.getpid()}"
            probe.touch()
            probe.unlink()
        return run

    @classmethod
    def _named(cls, config: Config) -> "RunFolder":
        run = cls(Path(config.checkpoints_path, config.name))
        earlier = [name for name in FILES if (run.path / name).exists()]
        if earlier and not config.overwrite:
            raise UserError(
                f"--name: {str(run.path)!r} holds an earlier run ({earlier[0]}); choose"
                " another --name, or pass --overwrite to replace that run."
            )
        if not run.path.is_dir():
            run._make()
        return run

    @classmethod
    def _new(cls, config: Config) -> "RunFolder":
        when = time.strftime("%Y%m%d-%H%M%S")
        parts = (config.dataset, config.loss, config.mining, when)
        base = "-".join(part for part in parts if part)
        number = 1
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
        """Removes the folders ``claim`` made, unless the run has started."""
        if self._metrics is None:
            for folder in reversed(self._created):
                with suppress(OSError):  # somebody else uses it by now
                    folder.rmdir()

    def start(self, config: Config) -> None:
        """Replaces an earlier run, if any; writes the configuration; opens the log."""
        with _writing(self.path):
            if config.overwrite:
                for name in FILES:
                    (self.path / name).unlink(missing_ok=True)
            self._metrics = (self.path / "metrics.jsonl").open("x", encoding="utf-8")
            text = json.dumps(asdict(config), indent=2) + "\n"
            self._replace("config.json", lambda path: path.write_text(text))

    def log(self, **record: Any) -> None:
        """Appends one line to metrics.jsonl; it is on its way to disk on return."""
        self.records.append(record)
        with _writing(self.path / "metrics.jsonl"):
            self._metrics.write(json.dumps(record) + "\n")
            self._metrics.flush()

    def save(self, write_weights: Callable[[Path], None]) -> None:
        """Writes weights and plot anew; each file is whole at any moment."""
        with _writing(self.path):
            self._replace("weights.safetensors", write_weights)
            self._replace("plot.png", lambda path: save_plot(path, self.records))

    def writing(self) -> AbstractContextManager[None]:
        """Turns a failure to write what else belongs to the run into a UserError."""
        return _writing(self.path)

    def close(self) -> None:
        """Closes the log."""
        if self._metrics is not None:
            with suppress(OSError):  # what could not be written has been reported
                self._metrics.close()

    def _replace(self, name: str, write: Callable[[Path], Any]) -> None:
        # The suffix stays last: writers go by it.
        unfinished = self.path / f".unfinished-{name}"
        try:
            write(unfinished)
            os.replace(unfinished, self.path / name)
        finally:
            unfinished.unlink(missing_ok=True)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turns the operating system's refusals into one line for the user."""
    try:
        yield
    except OSError as error:
        path, reason = error.filename or path, error.strerror or error
    except SafetensorError as error:  # what safetensors makes of an OSError
        reason = error
    else:
        return
    raise UserError(
        f"--checkpoints_path: cannot write {str(path)!r}: {reason}; free or choose"
        " another place."
    )
