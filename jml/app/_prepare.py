"""What a run needs before its first step, in an order that lets XLA compile meanwhile.

The images are listed first: what is wrong with the files is known at once. The network
and the step follow, and threads compile them while the images are decoded.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from jml._loss_specs import SPECS
from jml._output import write_err
from jml.app._config import Config, learned
from jml.data import Dataset, Listing
from jml.training import batch_sharding, replicate_rest

from ._build import Training, build
from ._compile_ahead import Ahead
from ._compile_evaluation import begin_network, begin_ranking, embed_to_rank
from ._embed import EmbedAll, Embedded, make_embedder
from ._inputs import (
    Batches,
    drawn,
    list_images,
    load_dataset,
    make_batches,
    side_of,
)


class Prepared(NamedTuple):
    """The data of a run, what trains on it, and what embeds its test images."""

    dataset: Dataset
    batches: Batches
    training: Training
    embed_test: Callable[[Any, Any], Embedded]


def prepare(config: Config, mesh: Mesh, *, initial_weights: bool) -> Prepared:
    """Loads the data of a run and builds what trains.

    Args:
        config: configuration of the run.
        mesh: the devices that share each batch.
        initial_weights: as `build` has it.

    Raises:
        UserError: a flag or a file is wrong.
    """
    ahead = Ahead(write_err)
    listing = list_images(config, to_train=True)
    expected = _expected_classes(config, listing)

    def build_for(num_classes: int) -> tuple[Training, EmbedAll]:
        training = build(
            config, num_classes=num_classes, mesh=mesh, initial_weights=initial_weights
        )
        return _begin_programs(ahead, config, training, listing, mesh)

    built = None if expected is None else build_for(expected)
    dataset = load_dataset(config, listing)
    batches = make_batches(config, dataset.train, mesh)
    training, embed_all = built or build_for(batches.num_classes)
    begin_ranking(ahead, dataset.query, dataset.gallery, config)
    embed_test = embed_to_rank(ahead, embed_all, dataset, config)
    return Prepared(dataset, batches, training, embed_test)


def _has_classes(config: Config) -> bool:
    """Whether the loss of a run has parameters for each class."""
    of_class = any(h.learned == "class" for h in learned(config))
    return of_class or SPECS[config.loss].proxies is not None


def _expected_classes(config: Config, listing: Listing | None) -> int | None:
    """The number of classes, where it is known before the images are decoded."""
    if not _has_classes(config):
        return 0  # it does not matter
    if listing is None or config.on_bad_image == "skip":  # images may be left out
        return None
    labels = listing.labels[listing.train]
    return len(np.unique(labels[drawn(config, labels)]))


def _begin_programs(
    ahead: Ahead,
    config: Config,
    training: Training,
    listing: Listing | None,
    mesh: Mesh,
) -> tuple[Training, EmbedAll]:
    """Begins to compile the step and the network; both then wait for their programs."""
    state, hyper = replicate_rest(mesh, (training.state, training.hyper))
    square = (side_of(config),) * 2 + (3,)
    by_rows = batch_sharding(mesh)
    batch = (
        jax.ShapeDtypeStruct((config.batch_size, *square), np.uint8, sharding=by_rows),
        jax.ShapeDtypeStruct((config.batch_size,), np.int32, sharding=by_rows),
    )
    step = "the training step"
    take_step = partial(training.step.lower, state, batch, training.key, hyper)
    embedder = make_embedder(training.graphdef, config, mesh)
    params, batch_stats = state.to_evaluate
    embed_all = begin_network(
        ahead, embedder, params["model"], batch_stats, config, listing
    )
    ahead.begin(step, lambda: take_step().compile())
    training = training._replace(
        state=state, hyper=hyper, step=ahead.before(step, training.step)
    )
    return training, embed_all
