"""On a finished run, messages name no flag that ``jml evaluate`` lacks."""

import pytest

from jml.app._flags_of_arguments import of_finished_run, settled, with_flags
from jml.errors import UserError


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            "`listing`: cannot read 'a.png'; fix or remove it, or pass"
            " `skip_bad=True`.",
            "--dataroot: cannot read 'a.png'; fix or remove it.",
        ),
        (
            "`root`: no image; remove 'a', or pass `nested=True`, which reads those"
            " below.",
            "--dataroot: no image; remove 'a'.",
        ),
        ("--dataset: not prepared in 'x'; pass `download=True`.", "--dataset: not pre"),
        (
            "`cache`: cannot write to 'x'; make room, or pass another `cache_folder` or"
            ' `cache="none"`.',
            "cannot write to 'x'; make room.",
        ),
        (
            "`weights`: 'w' does not fit resnet18 with this `embedding_dim`; pass a"
            ' file of the same network or `weights="none"`.',
            "'w' does not fit resnet18 with this embedding_dim; pass a file of the same"
            " network.",
        ),
        ('2 classes; `singletons="views"` draws them, too', "2 classes"),
    ],
)
def test_messages_on_a_finished_run(message, expected):
    assert with_flags(settled(message)).startswith(expected)
    with pytest.raises(UserError) as caught, of_finished_run():
        raise UserError(message)
    assert "`skip_bad" not in str(caught.value)
