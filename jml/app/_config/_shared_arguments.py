"""Flags for what many losses share, such as `memory`: which loss takes which.

Only the standard library is imported here (see the package docstring).
"""

from collections.abc import Collection, Sequence

from jml._loss_specs import CONVENTION, SPECS
from jml.errors import UserError

from ._defaults import BY_LOSS, BY_MINER
from ._earlier_names import as_passed
from ._settings import Settings

# By flag, the argument that a loss has to take.
SHARED = {
    "memory": "memory",
    "miner": "miner",
    "reduction": "reduction",
    "sample_classes": "classes",
    "shard_classes": "class_axis_name",
}


def check_shared(config: Settings) -> None:
    """Raises a UserError for a flag that the loss cannot use."""
    spec = SPECS[config.loss]
    for name, argument in SHARED.items():
        passed = getattr(config, name) != getattr(Settings, name)
        if passed and argument not in spec.takes:
            raise _unusable([name], config)
    if spec.views:
        _check_views(config)
    if spec.lengths and config.l2norm:
        raise UserError(
            f"--l2norm: --loss {config.loss} goes by the lengths of embeddings, and it"
            " makes all of them one; pass --no_l2norm."
        )
    words = config.miner_positives, config.miner_negatives
    if "semihard" in words and ("all" in words or words[0] == words[1]):
        raise UserError(
            "--miner_positives: semihard is by the one pair that --miner_negatives"
            f" keeps, or the reverse, got {' and '.join(words)}; pass easy or hard for"
            " one."
        )


def _unusable(names: Sequence[str], config: Settings) -> UserError:
    flags = ", ".join(f"--{name}" for name in names)
    it = "it" if len(names) == 1 else "them"
    return UserError(
        f"{flags}: --loss {config.loss} does not take {it}; leave {it} out, or choose"
        " another --loss."
    )


def _check_views(config: Settings) -> None:
    """A loss of two views takes the first and the second image of each class."""
    words = f"--loss {config.loss} compares two images of each class"
    if config.sampler != "pk":
        raise UserError(
            f"--sampler: {words}, and --sampler {config.sampler} draws as many as it"
            " likes; pass --sampler pk."
        )
    if config.images_per_class != 2:
        raise UserError(
            f"--images_per_class: {words}, got {config.images_per_class}; pass 2."
        )


def check_passed(config: Settings, passed: Collection[str]) -> None:
    """Raises a UserError for flags on a command line that only other losses have.

    The configuration of an earlier run may hold them, without effect.
    """
    names = [
        as_passed(name, passed)
        for name, default in BY_LOSS[config.loss].items()
        if default is None and getattr(config, name) is not None
    ]
    if config.convention != CONVENTION.default and not has_convention(config):
        names.append("convention")
    if names:
        raise _unusable(names, config)


def has_convention(config: Settings) -> bool:
    """Whether the loss of a run has more than one convention."""
    return CONVENTION in SPECS[config.loss].choices


def unused_shared(config: Settings) -> set[str]:
    """The flags of this group that do nothing in a run, because of another."""
    unused = {name for name, value in BY_MINER[config.miner].items() if value is None}
    if config.memory is None:
        unused.add("memory_warmup")
    if not has_convention(config):
        unused.add("convention")
    return unused


def notes_on_shared(config: Settings, passed: Collection[str]) -> list[str]:
    """Lines about flags of this group that were passed and do nothing."""
    of = "without --miner" if config.miner is None else f"with --miner {config.miner}"
    lines = [
        f"--{name} has no effect {of}"
        for name, default in BY_MINER[config.miner].items()
        if default is None and name in passed
    ]
    if "memory_warmup" in passed and config.memory is None:
        lines.append("--memory_warmup has no effect without --memory")
    return lines
