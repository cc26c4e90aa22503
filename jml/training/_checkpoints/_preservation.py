"""Which checkpoints stay."""

from collections.abc import Mapping, Sequence
from typing import Any

from orbax.checkpoint import checkpoint_managers as policies


class LastAndBest(policies.PreservationPolicy):
    """Keeps the last checkpoints, and the last of those with the highest score."""

    def __init__(self, last: int, scores: Mapping[int, float]) -> None:
        self._last, self._scores = last, scores

    def should_preserve(
        self, checkpoints: Sequence[policies.PolicyCheckpointInfo], *, context: Any
    ) -> Sequence[bool]:
        steps = [checkpoint.step for checkpoint in checkpoints]
        best = max(steps, key=lambda step: (self._scores.get(step, -1), step))
        return [step == best or step in steps[-self._last :] for step in steps]
