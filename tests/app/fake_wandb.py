"""A module that stands in for ``wandb``."""

import types


class FakeWandb(types.ModuleType):
    """Notes what it is called with."""

    def __init__(self):
        super().__init__("wandb")
        self.started, self.logged, self.finished = [], [], 0

    def init(self, **options):
        self.started.append(options)
        return self

    def log(self, values, *, step):
        self.logged.append((step, values))

    def finish(self):
        self.finished += 1
