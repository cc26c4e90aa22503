"""The embeddings that a command takes: checked, and with the model that made them.

``RUN | X.parquet`` is the folder of a run, whose own test images are embedded, or what
``jml embed`` wrote: a file, a folder of parts, or .npy with a list of paths beside it.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from jml._blocks_of_rows import rows_not_finite
from jml._evaluation_limits import METRICS
from jml._names import quoted
from jml._run_files import CONFIG, WEIGHTS, digest_of
from jml.app._flags_of_arguments import flags_for
from jml.errors import UserError

if TYPE_CHECKING:
    from jml.inference import Embeddings, TrainedModel

SUFFIXES = (".parquet", ".npy")


def is_run(what: Path) -> bool:
    """Whether it is the folder of a run, and not embeddings.

    Raises:
        UserError: it is a folder of something else.
    """
    if (what / CONFIG).exists():
        return True
    if what.suffix in SUFFIXES or what.is_file():
        return False
    if what.is_dir():
        raise UserError(
            f"{quoted(what)} is neither the folder of a run nor embeddings; for a"
            " folder of images run: jml embed RUN FOLDER --out X.parquet"
        )
    return True  # it is not there, and reading its configuration says so


def open_embeddings(what: Path) -> "Embeddings":
    """Reads embeddings that were written by ``jml embed``, and checks them.

    Raises:
        UserError: they cannot be read, there is none, or a vector is not finite.
    """
    from jml.inference import read_embeddings

    with flags_for(path="embeddings"):
        embeddings = read_embeddings(what)
    check_embeddings(what, embeddings)
    return embeddings


def check_embeddings(what: Path, embeddings: "Embeddings") -> None:
    """Raises a UserError if there is no vector, or one that is empty or not finite."""
    n, d = embeddings.vectors.shape
    if not n or not d:
        nothing = "no embeddings" if not n else "embeddings without a single number"
        raise UserError(f"{quoted(what)} holds {nothing}; run jml embed again.")
    rows = rows_not_finite(embeddings.vectors)
    if len(rows):
        whose = f"that of {quoted(embeddings.paths[rows[0]])}"
        if len(rows) > 1:
            whose = f"{len(rows):,} of {n:,}, the first {whose}"
        raise UserError(
            f"{quoted(what)} holds vectors with NaN or infinity: {whose}; embed these"
            " images again with a network that works."
        )


def metric_of(what: Path, embeddings: "Embeddings", passed: str | None) -> str:
    """The metric: that of the flag --metric, or of the model that made them.

    Raises:
        UserError: the file has a metric that is unknown here.
    """
    metric = passed or embeddings.model["metric"]
    if metric not in METRICS:
        raise UserError(
            f"{quoted(what)} is of the metric {quoted(metric)}, which is unknown here;"
            f" pass --metric {' or '.join(METRICS)}."
        )
    return metric


def find_model(
    what: Path, embeddings: "Embeddings", moved: Path | None
) -> tuple[Path, bool]:
    """Where the run, or the exported file, is that made the embeddings.

    Args:
        what: where the embeddings are, for messages.
        embeddings: with the path of the model, and the digest of its weights.
        moved: the flag --model: where the model is now; None: where it was.

    Returns:
        The path, and whether it was the run's best weights. A run has been checked to
        have the same weights still.

    Raises:
        UserError: it is not there, or its weights are others.
    """
    path = Path(str(embeddings.model["model"])) if moved is None else moved
    if not path.exists():
        raise UserError(
            f"{quoted(what)} was made by {quoted(path)}, which is not there; pass"
            " --model RUN, where it is now."
            if moved is None
            else f"--model: {quoted(path)} is not there; pass the run that made"
            f" {quoted(what)}."
        )
    if path.is_file():
        return path, False
    digests = {which: _digest_of(path / name) for which, name in WEIGHTS.items()}
    for which, digest in digests.items():
        if digest == embeddings.model["digest"]:
            return path, which == "best"
    if not any(digests.values()):
        raise UserError(
            f"--model: {quoted(path)} has no weights; pass the run that made"
            f" {quoted(what)}."
        )
    raise _other_weights(what, path)


def load_model(
    what: Path, embeddings: "Embeddings", moved: Path | None
) -> "TrainedModel":
    """Reads the model that made the embeddings, as `find_model` finds it.

    Raises:
        UserError: it cannot be read, or its weights are others.
    """
    from jml.inference import load

    path, best = find_model(what, embeddings, moved)
    with flags_for(path="--model"):
        model = load(path, best=best)
    if model.model["digest"] != embeddings.model["digest"]:
        raise _other_weights(what, path)
    columns = embeddings.vectors.shape[1]
    if columns != model.dim:
        raise UserError(
            f"{quoted(what)} holds vectors of {columns:,} numbers, and its model"
            f" {quoted(path)} makes {model.dim:,}; embed the images again."
        )
    return model


def _other_weights(what: Path, path: Path) -> UserError:
    return UserError(
        f"--model: {quoted(path)} has other weights than those that made"
        f" {quoted(what)}; pass the run that made it, or embed the images again."
    )


def _digest_of(path: Path) -> str | None:
    if not path.is_file():
        return None
    try:
        return digest_of(path)
    except OSError as error:
        raise UserError(
            f"--model: cannot read {quoted(path)}: {error.strerror}."
        ) from None
