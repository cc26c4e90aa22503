"""What ``jml duplicates`` does: groups of near images, as text, a list and a page."""

import argparse
from collections.abc import Sequence

from jml._attempts import Attempts
from jml._names import quoted
from jml._optional import missing, progress_bar
from jml._output import write_err, write_out
from jml._whole_files import writing
from jml.app._flags_of_arguments import flags_for
from jml.errors import UserError
from jml.evaluation import find_duplicates
from jml.inference import Embeddings
from jml.report import Picture, PictureRow, write_picture_page

from ._calibrated import calibrated_threshold
from ._duplicate_groups import LIST, PAGE, Group, groups_of, write_list
from ._gallery import find_model, is_run, metric_of, open_embeddings
from ._searched import PictureOf, picture_of_files, picture_of_run


def report_duplicates(options: argparse.Namespace) -> None:
    """Prints the groups, and writes them to the folder `out`.

    Raises:
        UserError: the embeddings or the threshold are of no use, or the list cannot be
            written.
        IncompleteError: the list is written, but the page failed.
    """
    source = options.embeddings
    if source.is_dir() and is_run(source):
        raise UserError(
            f"{quoted(source)} is the folder of a run; embed its test images first:"
            " jml embed RUN --out X.parquet"
        )
    embeddings = open_embeddings(source)
    metric = metric_of(source, embeddings, options.metric)
    threshold, near = _threshold(options, embeddings, metric)
    write_err(f"comparing {len(embeddings.paths):,} images")
    with flags_for(threshold="--threshold"):
        found = find_duplicates(
            embeddings.vectors,
            threshold=threshold,
            metric=metric,
            progress=progress_bar,
        )
    groups = groups_of(embeddings, found)
    facts = [_summary(len(embeddings.paths), groups), f"near: {near}"]
    path = options.out / LIST
    with writing(path, "--out"):
        options.out.mkdir(parents=True, exist_ok=True)
        write_list(path, groups)
    attempts = Attempts()
    with attempts.at("the groups"):
        write_out("\n".join([*facts, *_lines(groups, options.show)]))
    written = str(path)
    with attempts.at(PAGE):
        if _write_page(options, embeddings, groups, facts):
            written += f" and {options.out / PAGE}"
    attempts.check()
    write_out(f"written: {written}")


def _threshold(
    options: argparse.Namespace, embeddings: Embeddings, metric: str
) -> tuple[float | None, str]:
    """The threshold, None for none, and what it is, in words."""
    if options.threshold is not None:
        threshold, origin = options.threshold, ""
    else:
        calibrated = calibrated_threshold(
            options.embeddings, embeddings, options.model, metric
        )
        if calibrated is None:
            return None, "equal up to rounding; --threshold T finds those less alike"
        threshold, origin = calibrated
    unit = "1 - cosine" if metric == "cosine" else "Euclidean distance"
    return threshold, f"{unit} of at most {threshold:.6g}{origin}"


def _summary(images: int, groups: Sequence[Group]) -> str:
    members = sum(len(group.members) for group in groups)
    text = f"{images:,} images: {members:,} are in {_counted(groups)} of near images"
    different = [group for group in groups if group.note()]
    if not different:
        return text
    verb = "has" if len(different) == 1 else "have"
    return f"{text}; {_counted(different)} {verb} different labels"


def _counted(groups: Sequence[Group]) -> str:
    return f"{len(groups):,} group{'s' * (len(groups) != 1)}"


def _lines(groups: Sequence[Group], most: int) -> list[str]:
    """The first groups, and how many others there are."""
    lines = [line for group in groups[:most] for line in group.lines()]
    others = groups[most:]
    return [*lines, f"and {_counted(others)} more"] if others else lines


def _write_page(
    options: argparse.Namespace,
    embeddings: Embeddings,
    groups: Sequence[Group],
    facts: Sequence[str],
) -> bool:
    """Writes the page, and says what it lacks; returns whether it could be made."""
    if problem := missing("PIL"):
        write_err(f"no {PAGE}: it needs {problem}")
        return False
    picture_of = _pictures(options, embeddings)
    rows = [
        PictureRow(
            group.title(),
            [Picture(picture_of(each.row), each.lines()) for each in group.members],
            group.note(),
        )
        for group in groups
    ]
    path, title = options.out / PAGE, f"Duplicates in {options.embeddings.name}"
    page = write_picture_page(path, title, rows, facts=facts)
    if page.unreadable:
        write_err(
            f"{page.unreadable:,} of the {page.pictures:,} pictures on the page cannot"
            " be read; it says why in their places"
        )
    if page.left_out:
        write_err(f"{page.left_out:,} pictures had no room on the page; see {LIST}")
    return True


def _pictures(options: argparse.Namespace, embeddings: Embeddings) -> PictureOf:
    """The picture of each row; that of a drawn character needs the run."""
    if embeddings.model.get("root", "") is not None:
        return picture_of_files(embeddings)
    try:
        folder, _ = find_model(options.embeddings, embeddings, options.model)
        return picture_of_run(embeddings, folder)
    except UserError as error:
        write_err(f"no pictures: {error}")
        return lambda row: None
