"""How often Python looks for garbage: in a session, and in what its tests start."""

import gc


def collect_seldom():
    """To be called after all imports: what they have made stays, and is not looked at.

    The rest is looked at more seldom: JAX makes much that is no garbage as it traces.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)
