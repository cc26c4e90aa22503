"""Which programs XLA compiles, or reads where they are kept."""

from collections.abc import Callable
from typing import Any

COMPILED = "/jax/core/compile/backend_compile_duration"  # of JAX's events


def listen(notify: Callable[[str, float], None]) -> None:
    """Calls `notify` with the name and the seconds of each program from now on."""
    import jax

    def of_event(event: str, seconds: float, **about: Any) -> None:
        if event == COMPILED:
            notify(about.get("fun_name", "?"), seconds)

    jax.monitoring.register_event_duration_secs_listener(of_event)
