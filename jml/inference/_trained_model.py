"""A trained network in use."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32

from jml._checks import check_count
from jml._value_checks import check_functions, check_type
from jml.models import Model

from ._description import MEAN, METRIC, STD, Description
from ._embedder import images_at_once
from ._inputs import Inputs
from ._programs import Programs
from ._stream import Embedded, OnBad, embed_stream


class Source(NamedTuple):
    """Where a network comes from."""

    path: str  # of the run's folder or of the exported file, absolute
    digest: str  # SHA-256 of the run's weights
    folder: Path  # the run's, or that of the file: its calibration is there
    best: bool  # the weights of the highest Recall@1, not the last


class TrainedModel:
    """A trained network, which embeds images; `load` makes it.

    Example:
        >>> model = load("runs/glyphs")  # doctest: +SKIP
        >>> model.embed(["a.jpg", "b.jpg"]).shape  # doctest: +SKIP
        (2, 128)
    """

    def __init__(
        self, description: Description, network: Model | Any, source: Source
    ) -> None:
        """Takes what `load` has read.

        Args:
            description: of the network.
            network: the network, or a function that was exported.
            source: where it comes from.
        """
        self._description, self._source = description, source
        self._programs = Programs(description, network)

    @property
    def metric(self) -> str:
        """The distance by which its embeddings are compared."""
        return METRIC

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return self._description.embedding_dim

    @property
    def image_size(self) -> int:
        """Side of the square that the network sees, in pixels."""
        return self._description.image_size

    @property
    def side(self) -> int:
        """Side of the square that images are resized to, and whose middle is seen."""
        return round(self.image_size * 8 / 7)

    @property
    def folder(self) -> Path:
        """The run's folder, or that of the exported file."""
        return self._source.folder

    @cached_property
    def model(self) -> Mapping[str, Any]:
        """What `Embeddings.model` holds: the network and how it embeds."""
        return MappingProxyType(
            {
                "model": self._source.path,
                "best": self._source.best,
                "digest": self._source.digest,
                "metric": self.metric,
                **asdict(self._description),
                "side": self.side,
                "mean": list(MEAN),
                "std": list(STD),
            }
        )

    def embed(
        self,
        images: Any,
        *,
        batch_size: int = 64,
        bfloat16: bool | None = None,
        progress: Callable[[Iterable, int], Iterable] | None = None,
    ) -> Float32[np.ndarray, "n d"]:
        """Embeds images, as evaluation does.

        An image becomes a square of side ``round(image_size * 8 / 7)``, of which the
        middle is cut out and normalised. Threads read ahead of the devices, which share
        each batch; only a few batches are in memory at once. On CPUs the embedding of
        an image is the same in any company, and the same as in evaluation, bit for bit;
        on GPUs it is with the same `batch_size`.

        Args:
            images: paths; pixels, uint8 [n, h, w, 3]; a list of uint8 [h, w, 3] of
                any sizes; images of a ``jml.data.Listing``; or a ``jml.data.Split``.
                Pixels are resized like the pixels of files, unless they are squares of
                that side already.
            batch_size: images in a batch, for all devices together. On CPUs it has no
                effect: a batch has as many images as are computed fastest.
            bfloat16: compute convolutions in bfloat16; None for the precision of the
                training.
            progress: called with an iterable over the images and their number; returns
                one over the same images, and may show how far it is.

        Returns:
            The embeddings, in the order of the images.

        Raises:
            UserError: an image cannot be read, or an embedding is not finite.
            ValueError: an argument is of the wrong kind or out of range.
        """
        check_functions("embed", optional=True, progress=progress)
        inputs = Inputs("embed", images, self.side, skip_bad=False)
        batches = self._stream("embed", inputs, batch_size, bfloat16, None)
        vectors = np.empty((len(inputs), self.dim), np.float32)

        def done() -> Iterator[int]:
            for rows, values in batches:
                vectors[rows] = values
                yield from rows.tolist()

        for _ in done() if progress is None else progress(done(), len(inputs)):
            pass
        return vectors

    def embed_batches(
        self,
        images: Any,
        *,
        batch_size: int = 64,
        bfloat16: bool | None = None,
        on_bad: OnBad | None = None,
    ) -> Iterator[Embedded]:
        """Embeds images batch by batch: for more images than embeddings fit in memory.

        Args:
            images: as in `embed`.
            batch_size: as in `embed`.
            bfloat16: as in `embed`.
            on_bad: called with the row of an image that cannot be read, and its error,
                whose ``reason`` says why; the image is left out. None: it is raised.

        Yields:
            The rows of a batch's images, counted from 0, and their embeddings.

        Raises:
            UserError: as in `embed`.
            ValueError: as in `embed`.
        """
        check_functions("embed_batches", optional=True, on_bad=on_bad)
        skip = on_bad is not None
        inputs = Inputs("embed_batches", images, self.side, skip_bad=skip)
        return self._stream("embed_batches", inputs, batch_size, bfloat16, on_bad)

    def _stream(
        self,
        name: str,
        inputs: Inputs,
        batch_size: int,
        bfloat16: bool | None,
        on_bad: OnBad | None,
    ) -> Iterator[Embedded]:
        check_count(name, "batch_size", batch_size)
        check_type(name, "bfloat16", bfloat16, bool | None, "True, False or None")
        program = self._programs.of(bfloat16)
        # As many for few images: another size would be another program.
        size = images_at_once(self._programs.mesh, self.side, batch_size, batch_size)
        return embed_stream(inputs, program, size, on_bad)
