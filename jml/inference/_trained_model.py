"""A trained network in use."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Float32

from jml._value_checks import check_functions
from jml.models import Model

from ._description import MEAN, METRIC, STD, Description, Source
from ._inputs import Inputs
from ._match import Matches, match_items
from ._programs import Programs
from ._stream import Embedded, OnBad

# Wraps an iterable over images, whose number it gets.
Progress = Callable[[Iterable, int], Iterable]


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
        progress: Progress | None = None,
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
        batches = self._programs.stream("embed", inputs, batch_size, bfloat16, None)
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
        name = "embed_batches"
        check_functions(name, optional=True, on_bad=on_bad)
        inputs = Inputs(name, images, self.side, skip_bad=on_bad is not None)
        return self._programs.stream(name, inputs, batch_size, bfloat16, on_bad)

    def match(
        self,
        query: Any,
        gallery: Any,
        *,
        far: float = 1e-3,
        batch_size: int = 64,
        progress: Progress | None = None,
    ) -> Matches:
        """Says of which class each query is, or that it is of none in the gallery.

        The label is that of the nearest item, if its distance is at most the threshold
        that ``jml threshold`` found for a false acceptance rate: the share of pairs of
        two classes that are as near. So a query of no class in a gallery of m items is
        accepted wrongly in up to about ``far * m`` of the cases.

        Args:
            query: images, as in `embed`; or vectors, floating [q, d].
            gallery: `Embeddings` of this model, or a pair of vectors and labels. Items
                without a label are left out.
            far: the false acceptance rate, one of those of the calibration.
            batch_size: as in `embed`.
            progress: as in `embed`.

        Raises:
            UserError: there is no calibration, or none for `far`; another model made
                the gallery, or it holds NaN.
            ValueError: an argument is of the wrong kind or out of range.
        """

        def embed(images: Any) -> Float32[np.ndarray, "q d"]:
            return self.embed(images, batch_size=batch_size, progress=progress)

        return match_items(self.model, self.folder, embed, query, gallery, far)
