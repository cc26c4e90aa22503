"""Files in a run's folder that more than the training reads: names, and a digest."""

import hashlib
from pathlib import Path

CONFIG = "config.json"
CALIBRATION = "threshold.json"
# The weights at the last evaluation, and at that with the highest Recall@1.
WEIGHTS = {"last": "weights.safetensors", "best": "best.safetensors"}


def digest_of(path: Path) -> str:
    """SHA-256 of a file, by which weights are recognised.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
