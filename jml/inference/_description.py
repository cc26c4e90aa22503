"""What must be known of a network to use it, beside its weights; read from JSON.

A run has it in its config.json, among much else. An export has it in a file of its own
beside it. Both are read with suspicion: they may come from anywhere.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from jml._checks import is_integer
from jml._names import quoted
from jml._run_files import CONFIG, digest_of
from jml._whole_files import replace
from jml.errors import UserError

KIND = "jml export"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of values from 0 to 1
LARGEST = 2**16  # of whole numbers; beyond, a file is damaged or hostile
METRIC = "euclidean"  # by which runs are evaluated
PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True, kw_only=True)
class Description:
    """A network: its structure, what it computes, and on which images."""

    arch: str
    embedding_dim: int
    l2norm: bool
    image_size: int  # side of the square that the network sees, in pixels
    precision: str = "float32"  # of the convolutions: "float32" or "bfloat16"


class Source(NamedTuple):
    """Where a network comes from."""

    path: str  # of the run's folder or of the exported file, absolute
    digest: str  # SHA-256 of the run's weights
    folder: Path  # the run's, or that of the file: its calibration is there
    best: bool  # the weights of the highest Recall@1, not the last


def read_run(folder: Path) -> Description:
    """What the configuration of a run says of its network.

    Raises:
        UserError: there is none, or what it says is impossible.
    """
    return _described(_read(folder / CONFIG, "pass the folder of a run"), folder)


def description_file(path: Path) -> Path:
    """Where the description of an exported file is: beside it.

    >>> description_file(Path("model.safetensors")).name
    'model.safetensors.json'
    """
    return path.with_name(f"{path.name}.json")


def write_description(path: Path, description: Description, *, weights: Path) -> None:
    """Writes the description of an exported network beside it, whole or not at all.

    `load` reads it.

    Args:
        path: of the exported file.
        description: of the network.
        weights: the run's file of weights, by whose digest embeddings are recognised as
            of the same network.

    Raises:
        OSError: the file cannot be written, or another not be read.
    """
    saved = {
        "kind": KIND,
        **asdict(description),
        "metric": METRIC,
        "mean": MEAN,
        "std": STD,
        "file_digest": digest_of(path),
        "digest": digest_of(weights),
    }
    text = json.dumps(saved, indent=2) + "\n"
    replace(description_file(path), lambda place: place.write_text(text))


def read_export(path: Path, file_digest: str) -> tuple[Description, str]:
    """The description of an exported file, and the digest of the run's weights.

    Raises:
        UserError: there is none, it is of another file, or impossible.
    """
    place = description_file(path)
    if not place.is_file():
        raise UserError(
            f"`path`: {quoted(path)} has no description ({quoted(place.name)}) beside"
            " it; export it anew with jml export, or pass the folder of the run."
        )
    saved = _read(place, "export it anew with jml export")
    if saved.get("kind") != KIND or saved.get("file_digest") != file_digest:
        raise UserError(
            f"`path`: {quoted(place)} describes another file than {quoted(path)} as it"
            " is now; export it anew with jml export."
        )
    described = _described(saved, place)
    rules = {
        "metric": partial(_is, METRIC),
        "mean": partial(_is, list(MEAN)),
        "std": partial(_is, list(STD)),
        "digest": lambda x: isinstance(x, str) and len(x) == len(file_digest),
    }
    _check(saved, rules, place)
    return described, saved["digest"]


def _read(path: Path, advice: str) -> dict[str, Any]:
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            f"`path`: cannot read {quoted(path)}: {error.strerror}; {advice}."
        ) from None
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"`path`: {quoted(path)} is no JSON: {error}; {advice}."
        ) from None
    if not isinstance(saved, dict):
        raise UserError(f"`path`: {quoted(path)} holds no settings; {advice}.")
    return saved


def _described(saved: Mapping[str, Any], place: Path) -> Description:
    """The description among other settings, which are left out."""
    from jml.models import ARCHITECTURES

    rules = {
        "arch": partial(_is_one_of, ARCHITECTURES),
        "embedding_dim": partial(_is_count, 1),
        "l2norm": lambda x: isinstance(x, bool),
        "image_size": partial(_is_count, 16),
        "precision": partial(_is_one_of, PRECISIONS),
    }
    saved = {"precision": "float32", **saved}
    _check(saved, rules, place)
    return Description(**{name: saved[name] for name in rules})


def _check(
    saved: Mapping[str, Any], rules: Mapping[str, Callable[[Any], bool]], place: Path
) -> None:
    missing = [name for name in rules if name not in saved]
    problems = [f"no {name}"[:60] for name in missing]
    problems += [
        f"{name}: {quoted(saved[name])[:60]}"
        for name, holds in rules.items()
        if name in saved and not holds(saved[name])
    ]
    if problems:
        raise UserError(
            f"`path`: {quoted(place)} describes no network of this version"
            f" ({'; '.join(problems)}); pass the folder of another run."
        )


def _is(expected: object, value: object) -> bool:
    return value == expected


def _is_one_of(words: tuple[str, ...], value: object) -> bool:
    return isinstance(value, str) and value in words


def _is_count(least: int, value: Any) -> bool:
    return is_integer(value) and least <= value <= LARGEST
