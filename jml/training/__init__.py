"""Training: the step, the loop and what they need."""

from .host_memory import keep_freed_memory as keep_freed_memory

__all__ = ["keep_freed_memory"]
