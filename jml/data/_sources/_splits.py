"""Names of splits, and what each is for."""

from collections.abc import Iterable

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
KNOWN = "train and test (or val), or train, query and gallery, in any capitals"


def canonical_split(word: str) -> str | None:
    """Which split a word means, in any capitals; None where it means none.

    >>> canonical_split(" Valid")
    'val'
    """
    return SPLITS.get(word.strip().lower())


def roles_of(splits: Iterable[str]) -> dict[str, str]:
    """What each split is for: "train", "query" or "gallery"; others are left out.

    A validation set is what is tested on where there is nothing else to test on, and
    left out where there is: nothing is chosen by it.

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
