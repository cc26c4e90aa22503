"""Names of splits, what each is for, and the folders that are splits."""

from collections.abc import Iterable
from pathlib import Path

from jml._names import quoted
from jml.data._messages import counted, name_some, quote
from jml.errors import UserError

from ._folder_contents import Contents, scan_folder
from ._problems import Problem

# Every name that is known, in lower case.
SPLITS = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "query": "query",
    "gallery": "gallery",
}
LAYOUT = (
    "pass a folder with one sub-folder of images per class, or one with such folders in"
    " train and test (or val), or train, query and gallery, in any capitals"
)


def canonical_split(word: str) -> str | None:
    """Which split a word means, in any capitals; None where it means none.

    >>> canonical_split(" Valid")
    'val'
    """
    return SPLITS.get(word.strip().lower())


def roles_of(splits: Iterable[str]) -> dict[str, str]:
    """What each split is for: "train", "query" or "gallery".

    A validation set is tested on where there is nothing else to test on. Otherwise it
    is left out, for nothing is chosen by it.

    Raises:
        Problem: they are not the splits of a data set.

    >>> roles_of(["val", "train"])
    {'train': 'train', 'val': 'query'}
    """
    splits = set(splits)
    searched = {"query", "gallery"}
    if "test" in splits and splits & searched:
        raise Problem("test is there, and query or gallery too; use one of the two")
    tests = {"test": "query"} if "test" in splits else {"val": "query"}
    if splits & searched:
        tests = {"query": "query", "gallery": "gallery"}
    missing = [split for split in ("train", *tests) if split not in splits]
    if missing:
        missing = ["test" if split == "val" else split for split in missing]
        raise Problem(f"there is no {' and no '.join(missing)}")
    return {"train": "train", **tests}


def find_splits(root: Path, top: Contents) -> dict[str, Path]:
    """The folder of each role; {} where the folders are classes.

    The root may hold other folders, too, if the folders of the splits have most of
    their images in sub-folders. If these were classes, they would have few there.

    Args:
        root: the folder of the data set.
        top: what is in it.

    Raises:
        UserError: the folders have names of splits, but are not those of a data set.
    """
    by_split: dict[str, list[Path]] = {}
    for path in top.folders:
        if split := canonical_split(path.name):
            by_split.setdefault(split, []).append(path)
    alone = sum(map(len, by_split.values())) == len(top.folders)
    try:
        roles = roles_of(by_split)
    except Problem as problem:
        if by_split and alone:
            names = name_some(path.name for path in top.folders)
            raise UserError(
                f"`root`: {quoted(root)} holds {names}, and {problem}; {LAYOUT}."
            ) from None
        return {}
    used = [path for split in roles for path in by_split[split]]
    if not alone and not all(map(_holds_folders, used)):
        return {}
    if len(used) > len(roles):
        raise UserError(
            f"`root`: {quoted(root)} holds {name_some(path.name for path in used)}, of"
            " which several mean the same; rename or remove what is no split."
        )
    return {role: by_split[split][0] for split, role in roles.items()}


def _holds_folders(path: Path) -> bool:
    result = scan_folder(path, nested=False)
    return result.below > len(result.images)


def splits_notes(name: str, top: Contents, splits: dict[str, Path]) -> list[str]:
    """What a validation set is used for, and which folders beside the splits are not.

    Args:
        name: of the data set.
        top: what is in its folder.
        splits: the folder of each role.
    """
    notes = []
    tested = splits["query"].name
    if canonical_split(tested) == "val":
        notes.append(f"{name}: there is no test set: {quote(tested)} is tested on")
    beside = [path for path in top.folders if path not in splits.values()]
    if beside:
        images = sum(len(scan_folder(path, nested=True).images) for path in beside)
        names = name_some(path.name for path in beside)
        used = name_some(path.name for path in splits.values())
        notes.append(
            f"{name}: the splits are {used}; {names} beside them, with"
            f" {counted(images, 'image')}, {'is' if len(beside) == 1 else 'are'} left"
            " out"
        )
    return notes
