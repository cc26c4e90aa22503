"""What a file says of its embeddings: the model, its preprocessing, the part."""

import json
import re
from collections.abc import Mapping
from typing import Any

from jml.errors import UserError

from ._part import Part, from_json, to_json

KEY = b"jml"  # of the schema's metadata
# Two machines may see one model by different paths, and have different versions; and
# a model may have embedded several collections.
NOT_COMPARED = {"model", "version", "root", "images", "listing", "unreadable"}


def encoded(model: Mapping[str, Any], part: Part | None = None) -> bytes:
    """The metadata as JSON in ASCII, which holds names of any bytes."""
    facts = dict(model)
    if part is not None:
        facts["part"] = to_json(part)
    return json.dumps(facts).encode("ascii")


def decoded(data: bytes | str | None) -> tuple[dict[str, Any], Part | None]:
    """The model and the part that metadata names.

    Raises:
        UserError: it is missing, or damaged; the message is a reason.
    """
    if data is None:
        raise UserError("it does not say what model its embeddings are of")
    try:
        model = json.loads(data)
        part = model.pop("part", None)
        part = None if part is None else from_json(part)
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise UserError("its metadata is damaged") from None
    digest = model.get("digest")
    texts = (model.get("model"), model.get("metric"), digest)
    if not all(isinstance(text, str) for text in texts):
        raise UserError("its metadata lacks the model, its digest, or its metric")
    if not re.fullmatch("[0-9a-f]{64}", str(digest)):
        raise UserError("the digest of the model in its metadata is none")
    return model, part


def difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> str | None:
    """The first fact in which two models differ, by its name; None if in none."""
    for name in sorted((set(one) | set(other)) - NOT_COMPARED):
        if one.get(name) != other.get(name):
            return name
    return None
