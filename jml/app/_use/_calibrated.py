"""The threshold that ``jml threshold`` found for the model of some embeddings."""

from pathlib import Path
from typing import TYPE_CHECKING

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
    """
    return None
