"""What an interrupted embedding was of, so that another one does not go on with it."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jml._names import name_bytes, quoted
from jml._whole_files import partial_of
from jml.errors import UserError

from ._metadata import NOT_COMPARED

NAMES = {
    "digest": "weights of the model",
    "images": "number of images",
    "listing": "list of images",
    "shards": "number of shards",
    "size": "images of a part",
}


def digest_of_listing(paths: Iterable[str], labels: Iterable[str | None] | None) -> str:
    """SHA-256 of the names of all images and of their labels, in their order."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(name_bytes(path) + b"\0")
    for label in labels or ():
        digest.update(b"\0" if label is None else b"\1" + name_bytes(label) + b"\0")
    return digest.hexdigest()


def manifest_of(model: Mapping[str, Any], **facts: Any) -> dict[str, Any]:
    """What has to be equal for parts to belong together, as JSON has it."""
    compared = {k: v for k, v in model.items() if k not in NOT_COMPARED}
    return json.loads(json.dumps(compared | facts))


def write_manifest(path: Path, manifest: Mapping[str, Any]) -> None:
    """Writes it, whole; machines that do so at the same time do not disturb another."""
    partial = partial_of(path)
    try:
        partial.write_text(json.dumps(manifest, indent=2) + "\n", encoding="ascii")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def differences(path: Path, manifest: Mapping[str, Any]) -> list[str] | None:
    """In what a manifest on disk differs, in words; None if there is none.

    Raises:
        UserError: it cannot be read.
    """
    try:
        saved = json.loads(path.read_text(encoding="ascii"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(
            f"`path`: cannot read {quoted(path)}: {error.strerror}; choose another"
            " place."
        ) from None
    except (ValueError, RecursionError):
        return ["manifest, which is damaged"]
    if not isinstance(saved, dict):
        return ["manifest, which is damaged"]
    names = sorted(set(saved) | set(manifest))
    return [
        NAMES.get(name, name) for name in names if saved.get(name) != manifest.get(name)
    ]
