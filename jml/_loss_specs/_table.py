"""The whole table of losses, and the variants of each.

Only the standard library is imported here (see the package docstring).
"""

from typing import Any

from ._columns import LossSpec
from ._others import OTHERS
from ._pairs import PAIRS

SPECS: dict[str, LossSpec] = {**PAIRS, **OTHERS}


def variants(separator: str = "_") -> dict[str, tuple[str, dict[str, Any]]]:
    """Each loss, once for each word of its choices.

    That is without the choices that many losses have, such as the convention, or that
    tests of their own cover.

    Choices are not combined: beside a word the others have their defaults. A name has
    the word that is no default, and none with all defaults, but for a `named` choice.

    >>> name, words = variants()["triplet_hardest"]
    >>> name, words["mining"]
    ('triplet', 'hardest')
    """
    by_name: dict[str, tuple[str, dict[str, Any]]] = {}
    for name, spec in SPECS.items():
        choices = [choice for choice in spec.choices if choice.varied]
        defaults = {choice.name: choice.default for choice in choices}
        if not any(choice.named for choice in choices):
            by_name[name] = name, defaults
        for choice in choices:
            for word in choice.choices:
                if choice.named or word != choice.default:
                    part = word if isinstance(word, str) else choice.name
                    variant = name, defaults | {choice.name: word}
                    by_name[separator.join((name, part))] = variant
    return by_name
