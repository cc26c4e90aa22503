"""Imports point downward only, in no circle; see ARCHITECTURE.md."""

import pytest

from tests import layers

FILES = layers.modules()
EDGES = layers.imports(FILES)


def test_imports_point_downward():
    assert [str(edge) for edge in layers.upward(EDGES)] == []


def test_no_modules_import_each_other():
    assert layers.circles(EDGES) == []


def test_packages_import_each_other_by_their_public_names():
    forbidden, allowed = layers.private(EDGES)
    assert [str(edge) for edge in forbidden] == []
    assert all(allowed.values())  # no permission that nobody needs


def test_front_door_modules_are_a_few_lines():
    assert set(layers.DOORS) <= set(FILES)
    for name in layers.DOORS:
        assert len(FILES[name].read_text().splitlines()) <= 30, name


def test_every_package_has_its_layer():
    known = {name for layer in layers.LAYERS for name in layer}
    assert {layers.unit(name) for name in FILES} - known == {"export"}


def test_losses_need_jax_numpy_and_jaxtyping_alone():
    assert layers.third_party("jml.losses", FILES) == {"jax", "jaxtyping", "numpy"}


@pytest.mark.parametrize(
    ("files", "wrong", "circle"),
    [
        ({"losses": "import jml.distances"}, 0, 0),
        ({"losses": "from jml import distances"}, 0, 0),
        ({"distances": "from jml.losses import a"}, 1, 0),
        ({"distances": "from . import losses"}, 1, 0),
        ({"distances": "def f():\n    from jml import losses"}, 1, 0),
        ({"distances": "if TYPE_CHECKING:\n    import jml.losses"}, 1, 0),
        ({"models": "from jml.data import a", "data": ""}, 1, 0),
        ({"models": "import jml.app"}, 1, 0),
        ({"export": "import jml.app"}, 0, 0),
        ({"app": "import jml.export", "export": ""}, 1, 0),
        ({"_names": "import jml.distances"}, 1, 0),
        ({"_names": "import jml._output", "_output": "import jml._names"}, 0, 1),
        ({"losses": "import jml.distances", "distances": "import jml.losses"}, 1, 1),
        (
            {
                "errors": "from jml import losses",
                "losses": "import jml._a",
                "_a": "import jml.errors",
            },
            1,
            1,
        ),
    ],
)
def test_the_reader_of_imports_sees_every_form(files, wrong, circle, tmp_path):
    (tmp_path / "jml").mkdir()
    for name in ("__init__", "losses", "distances", "app", *files):
        (tmp_path / "jml" / f"{name}.py").write_text(files.get(name, ""))
    edges = layers.imports(layers.modules(tmp_path))
    assert len(layers.upward(edges)) == wrong
    assert len(layers.circles(edges)) == circle
