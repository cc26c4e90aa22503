"""The threshold that ``jml threshold`` found for the model of some embeddings."""

from pathlib import Path
from typing import TYPE_CHECKING

from jml._names import shown
from jml._run_files import CALIBRATION
from jml.app._flags_of_arguments import flags_for
from jml.errors import UserError

from ._gallery import find_model

if TYPE_CHECKING:
    from jml.inference import Embeddings


def calibrated_threshold(
    what: Path, embeddings: "Embeddings", moved: Path | None, metric: str
) -> tuple[float, str] | None:
    """The threshold of the model's calibration, and where it is from; None: has none.

    Args:
        what: where the embeddings are, for messages.
        embeddings: with the path of the model, and the digest of its weights.
        moved: the flag --model: where the model is now; None: where it was.
        metric: that of the distances.

    Raises:
        UserError: the calibration is of another metric, of other weights, or damaged;
            or `moved` is not the model.
    """
    from jml.inference import read_calibration

    folder = Path(str(embeddings.model.get("model", "")))
    if moved is not None:
        folder, _ = find_model(what, embeddings, moved)
    if folder.is_file():  # an export, beside which its run's thresholds may be
        folder = folder.parent
    path = folder / CALIBRATION
    if not path.is_file():
        return None
    digest = embeddings.model.get("digest")
    try:
        with flags_for(folder="--model"):
            calibration = read_calibration(folder, metric=metric, digest=digest)
    except UserError as error:
        best = " --best" if embeddings.model.get("best") is True else ""
        raise UserError(f"{error}{best}, or pass --threshold.") from None
    for point in reversed(calibration.points):  # the smallest rate comes last
        if point.threshold is not None:
            return (
                point.threshold,
                f", the threshold for FAR {point.far:g} in {shown(path)}",
            )
    return None
