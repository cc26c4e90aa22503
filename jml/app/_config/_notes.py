"""Flags that were passed, but do nothing or less than they seem to."""

from collections.abc import Collection

from ._earlier_names import as_passed
from ._learned import unused_rates
from ._settings import Settings
from ._shared_arguments import notes_on_shared


def notes(config: Settings, passed: Collection[str]) -> tuple[str, ...]:
    """One line for each flag that was passed but has no effect, or less, in this run.

    Args:
        config: configuration of the run.
        passed: the fields that somebody passed, their defaults among the values.
    """
    lines = []
    if config.dataset == "glyphs" and config.dataroot is not None:
        lines.append("--dataroot has no effect with --dataset glyphs")
    if config.nested and config.dataset != "folder":
        lines.append(f"--nested has no effect with --dataset {config.dataset}")
    if config.download and not config.dataset.startswith("tfds:"):
        lines.append(f"--download has no effect with --dataset {config.dataset}")
    if config.cache_folder is not None and config.cache not in (None, "disk"):
        lines.append(f"--cache_folder has no effect with --cache {config.cache}")
    lines += notes_on_shared(config, passed)
    return (*lines, *_notes_on_rates(config, passed))


def _notes_on_rates(config: Settings, passed: Collection[str]) -> list[str]:
    """Lines about settings of the optimizer and of the learning rates."""
    lines = []
    if "momentum" in passed and config.optimizer not in ("sgd", "rmsprop"):
        lines.append(f"--momentum has no effect with --optimizer {config.optimizer}")
    rate = as_passed("loss_lr", passed)
    if rate in passed and unused_rates(config):
        of = "learn none" if config.proxies is None else "proxies fixed"
        lines.append(f"--{rate} has no effect with --{of}")
    if config.warmup > config.maxiter:
        lines.append(
            f"--warmup {config.warmup} is more than --maxiter {config.maxiter}: the"
            " learning rates rise until the end, to"
            f" {config.maxiter / config.warmup:.0%} of what is passed"
        )
    if config.schedule != "step":
        lines += [
            f"--{name} has no effect with --schedule {config.schedule}"
            for name in ("decay_iter_step", "decay_gamma")
            if name in passed
        ]
    elif "decay_iter_step" in passed and config.decay_iter_step >= config.maxiter:
        lines.append(
            f"--decay_iter_step {config.decay_iter_step} has no effect: --maxiter"
            f" {config.maxiter} ends the run before the first decay"
        )
    return lines
