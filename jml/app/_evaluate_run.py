"""Evaluates the network of a run, and writes its report anew."""

from collections.abc import Callable
from pathlib import Path

from jml.app._run_folder import load_model, read_moved_config, read_records
from jml.evaluation import Evaluation

from ._compile_ahead import Ahead
from ._compile_evaluation import (
    begin_network,
    begin_ranking,
    embed_to_rank,
    known_facts,
)
from ._embed import make_embedder
from ._flags_of_arguments import on_finished_run
from ._inputs import list_images, load_dataset
from ._report import report_run


def evaluate_run(
    folder: Path,
    *,
    dataroot: str | None,
    notify: Callable[[str], None],
    show: Callable[[Evaluation], None],
) -> None:
    """Evaluates the weights in a run's folder and writes its report there.

    Threads compile the network and the ranking while the images are decoded.

    Args:
        folder: folder of the run.
        dataroot: where the data set is now; None if it is where it was.
        notify: called with lines about the progress.
        show: called with the evaluation before the report is begun.

    Raises:
        UserError: the folder holds no finished run, or its data set is not there.
    """
    config = read_moved_config(folder, dataroot)
    graphdef, params, batch_stats = load_model(folder, config)
    notify("loading the images")
    ahead, listing = Ahead(notify), list_images(config)
    embedder = make_embedder(graphdef, config)
    embed_all = begin_network(ahead, embedder, params, batch_stats, config, listing)
    known = known_facts(config, listing)
    if known is not None:
        begin_ranking(ahead, *known, config)
    dataset = load_dataset(config, listing)
    if known is None:
        begin_ranking(ahead, dataset.query, dataset.gallery, config)
    for note in dataset.notes:
        notify(on_finished_run(note, names=[dataset.name]))
    notify(f"embedding {len(dataset.query.labels):,} images")
    embedded = embed_to_rank(ahead, embed_all, dataset, config)(params, batch_stats)
    records = read_records(folder)
    report_run(folder, config, dataset, embedded, records, notify=notify, show=show)
