"""The layouts of a folder: classes, or splits with classes in them."""

from pathlib import Path

from jml.errors import UserError

from ._class_folders import Contents, Scan, contents, scan
from ._problems import Problem, Problems, counted, name_some, quote
from ._splits import KNOWN, canonical_split, roles_of

LAYOUT = (
    "pass a folder with one sub-folder of images per class, or one with such folders in"
    f" {KNOWN}"
)


def list_folder(path: Path) -> Contents:
    """What is in a folder; a UserError where it cannot be listed."""
    try:
        return contents(path)
    except FileNotFoundError:
        reason = "no such directory"
    except NotADirectoryError:
        reason = "not a directory"
    except OSError as error:
        reason = f"cannot be listed ({error.strerror})"
    raise UserError(f"--dataroot: {reason}: {str(path)!r}; {LAYOUT}.")


def find_splits(root: Path, top: Contents) -> dict[str, Path]:
    """The folder of each role; {} where the folders are classes.

    Other folders may be beside those of splits where these have most of their images
    in folders: as classes they would have few.
    """
    named: dict[str, list[Path]] = {}
    for path in top.folders:
        if split := canonical_split(path.name):
            named.setdefault(split, []).append(path)
    alone = sum(map(len, named.values())) == len(top.folders)
    try:
        roles = roles_of(named)
    except Problem as problem:
        if named and alone:
            held = name_some(path.name for path in top.folders)
            raise UserError(
                f"--dataroot: {str(root)!r} holds {held}, and {problem}; {LAYOUT}."
            ) from None
        return {}
    used = [path for split in roles for path in named[split]]
    if not alone and not all(map(_holds_folders, used)):
        return {}
    if len(used) > len(roles):
        raise UserError(
            f"--dataroot: {str(root)!r} holds {name_some(path.name for path in used)},"
            " of which several mean the same; rename or remove what is no split."
        )
    return {role: named[split][0] for split, role in roles.items()}


def _holds_folders(path: Path) -> bool:
    found = scan(path, nested=False)
    return found.below > len(found.images)


def check_classes(
    root: Path,
    splits: dict[str, Path],
    parts: dict[str, Contents],
    scans: dict[str, list[Scan]],
) -> None:
    """Raises a UserError where folders of classes are missing or hold no image."""
    every = [found for some in scans.values() for found in some]
    empty = [found for found in every if not found.images or found.fault]
    few = len(every) < 4 and not splits
    hint = _hint(parts[""]) if few else ""
    if hint:
        empty = []  # they are no classes
    advice = f"give each an image or remove it from {str(root)!r}"
    if any(found.below for found in empty):
        advice += ", or pass --nested, which reads the folders below"
    flat = [role for role in splits if not scans[role]]
    problems = Problems(LAYOUT if few or flat else advice)
    if few:
        beside = len(parts[""].images)
        loose = f"; {counted(beside, 'image')} beside are in none" * bool(beside)
        count = ("no class", "a single class", "two classes", "three classes")
        problems.add(
            f"{str(root)!r} has {count[len(every)]}, and it takes four, two to train"
            f" and two to test{hint or loose}"
        )
    for role in flat:
        held = len(parts[role].images)
        problems.add(
            f"{str(splits[role])!r} holds no folder of a class"
            + f", but {counted(held, 'image')}" * bool(held)
        )
    for found in empty:
        place = str(found.path.relative_to(root))
        if found.fault:
            problems.add(f"class {quote(place)}: {found.fault}")
            continue
        instead = found.in_their_place()
        problems.add(
            f"class {quote(place)} has no image that Pillow reads"
            + f" ({instead})" * bool(instead)
        )
    problems.check()


def _hint(top: Contents) -> str:
    """Where the classes may be, if not in the root."""
    if len(top.folders) == 1 and len(below := list_folder(top.folders[0]).folders) > 1:
        return f" (is it {str(top.folders[0])!r}, which holds {len(below):,} folders?)"
    return ""


def splits_notes(name: str, top: Contents, splits: dict[str, Path]) -> list[str]:
    """What was made of a validation set, and what is beside the splits."""
    notes = []
    tested = splits["query"].name
    if canonical_split(tested) == "val":
        notes.append(f"{name}: there is no test set: {quote(tested)} is tested on")
    beside = [path for path in top.folders if path not in splits.values()]
    if beside:
        counts = [len(scan(path, nested=True).images) for path in beside]
        what = counted(sum(counts), "image")
        held = name_some(path.name for path in beside)
        used = name_some(path.name for path in splits.values())
        notes.append(
            f"{name}: the splits are {used}; {held} beside them, with {what},"
            f" {'is' if len(beside) == 1 else 'are'} left out"
        )
    return notes
