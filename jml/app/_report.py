"""The report of a run."""

import json
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jml import __version__
from jml._names import shell_line
from jml._optional import progress_bar
from jml.app._config import Config
from jml.data import Dataset, Split
from jml.evaluation import Evaluation, add_clustering, evaluate
from jml.report import EmbeddedImages, missing_packages, write_report

from ._embed import Embedded, ids_and_groups


def report_run(
    folder: Path,
    config: Config,
    dataset: Dataset,
    embedded: Embedded,
    records: Sequence[Mapping[str, Any]],
    *,
    retrieval: Evaluation | None = None,
    notify: Callable[[str], None],
    show: Callable[[Evaluation], None] = lambda evaluation: None,
) -> None:
    """Evaluates the embeddings of a run, and writes the report into its folder.

    Args:
        folder: folder of the run.
        config: configuration of the run.
        dataset: the images that were embedded.
        embedded: their embeddings.
        records: lines of the run's metrics.jsonl.
        retrieval: what `measure_retrieval` returned for them, if it was called.
        notify: called with lines about the progress.
        show: called with the evaluation before the report is begun.
    """
    query, gallery = dataset.query, dataset.gallery
    notify("evaluating")
    if retrieval is None:
        retrieval = measure_retrieval(embedded, dataset, config)
    evaluation = add_clustering(
        retrieval, embedded.query, query.labels, seed=config.seed, progress=_progress
    )
    show(evaluation)
    if "nmi" not in evaluation.metrics:
        notify("no NMI and AMI: k-means of so many classes would take too long")
    if problem := missing_packages():
        notify(f"no report: it needs {problem}")
        return
    mining = getattr(config, "mining", None)
    gallery_items = None
    if gallery is not None and embedded.gallery is not None:
        gallery_items = _items(embedded.gallery, gallery)
    write_report(
        folder,
        f"{dataset.name}: {config.loss}" + (f", {mining}" if mining else ""),
        _items(embedded.query, query),
        gallery_items,
        evaluation,
        class_names=dict(enumerate(dataset.class_names)),
        records=records,
        reproduce={
            "Train": command_of(config),
            "Evaluate again, and write this report": shell_line(
                ["python", "-m", "jml.evaluation", str(folder)]
            ),
            "With": versions(),
            "All settings": json.dumps(asdict(config), indent=2),
        },
        seed=config.seed,
        notify=notify,
    )


def measure_retrieval(
    embedded: Embedded, dataset: Dataset, config: Config
) -> Evaluation:
    """Measures how embeddings retrieve. How they cluster takes longer, and can wait."""
    query, gallery = dataset.query, dataset.gallery
    return evaluate(
        embedded.query,
        query.labels,
        embedded.gallery,
        None if gallery is None else gallery.labels,
        **ids_and_groups(query, gallery),
        clusterings=0,
        seed=config.seed,
        progress=_progress,
    )


def _progress(steps: Iterable) -> Any:
    return progress_bar(steps, "evaluating")


def _items(embeddings: np.ndarray, split: Split) -> EmbeddedImages:
    return EmbeddedImages(
        embeddings, split.labels, split.images, split.ids, split.groups
    )


def command_of(config: Config) -> str:
    """Returns the command that trains with this configuration, without defaults.

    >>> command_of(Config(loss="triplet", mining="all", seed=3))
    'python train_jax.py --loss triplet --mining all --seed 3'
    """

    def defaults(*names: str) -> dict[str, Any]:
        """Returns the settings of a run that gets only these from `config`."""
        return asdict(Config(**{name: getattr(config, name) for name in names}))

    place = {f.name for f in fields(Config) if f.metadata["group"] == "run"}
    place.add("cache_folder")
    usual = defaults("dataset", "dataroot", "loss", "weights")
    usual["weights"] = defaults("dataset", "dataroot", "loss")["weights"]
    usual |= {name: asdict(Config())[name] for name in ("dataset", "dataroot")}
    words = ["python", "train_jax.py"]
    for item in fields(Config):
        value = getattr(config, item.name)
        differs = value != usual[item.name] and item.name not in place
        if item.name == "loss" or differs:
            words += [
                f"--{item.name}",
                str(value).lower() if value is True or value is False else str(value),
            ]
    return shell_line(words)


def versions() -> str:
    """Returns the versions and the device, on which the numbers depend, too."""
    device = jax.local_devices()[0].device_kind
    names = ("jax", "jaxlib", "flax", "optax", "numpy")
    packages = [f"jml {__version__}", *(f"{name} {version(name)}" for name in names)]
    return f"Python {platform.python_version()}, {', '.join(packages)}; on {device}"
