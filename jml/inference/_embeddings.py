"""The embeddings of images, and where they come from."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32


class Embeddings(NamedTuple):
    """The embeddings of images, with their paths."""

    vectors: Float32[np.ndarray, "n d"]
    paths: list[str]  # of the images, as they were passed
    labels: list[str | None] | None  # names of classes; None: none is known
    # What embedded them: "model" (its path), "digest" (of its weights), "metric",
    # "arch", "embedding_dim", "l2norm", "image_size", "precision".
    model: Mapping[str, Any]
