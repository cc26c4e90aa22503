"""The commands that use what was trained: one module each."""
