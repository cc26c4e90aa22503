"""Where this user's programs keep what they can make again."""

import os
from pathlib import Path


def user_cache_folder() -> Path:
    """The folder ``jml`` in the user's cache folder; it may not be there yet."""
    chosen = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # XDG's specification has a relative path ignored.
    return (chosen if chosen.is_absolute() else Path.home() / ".cache") / "jml"
