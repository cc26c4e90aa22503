"""A ResNet-18 that is cut short, and so is compiled sooner."""

from contextlib import contextmanager

import pytest

from jml.models import _resnet


@contextmanager
def short_resnet18(*blocks):
    """Makes "resnet18" the network with so many blocks in each of its four stages."""
    block, _ = _resnet.DEPTHS["resnet18"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(_resnet.DEPTHS, "resnet18", (block, blocks))
        yield
