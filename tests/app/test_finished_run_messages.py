"""On a finished run, messages say which of their flags ``jml evaluate`` lacks."""

import json
import re
from dataclasses import asdict

import pytest

from jml.app._config import Config
from jml.app._console import main
from jml.app._flags_of_arguments import of_finished_run, on_finished_run
from jml.errors import UserError
from jml.models import create, save_weights


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            "`listing`: cannot read 'a.png'; fix or remove it, or pass"
            " `skip_bad=True`.",
            "--dataroot: cannot read 'a.png'; fix or remove it, or pass --on_bad_image"
            " skip. Only jml train takes --on_bad_image.",
        ),
        (
            "photos: left out: 2 images in folders below a class's, which"
            " `nested=True` reads",
            "photos: left out: 2 images in folders below a class's, which --nested"
            " reads. Only jml train takes --nested.",
        ),
        (
            "`cache`: cannot write to '`seed` --x'; make room, or pass another"
            ' `cache_folder` or `cache="none"`.',
            "--cache: cannot write to '`seed` --x'; make room, or pass another"
            " --cache_folder or --cache none. Only jml train takes --cache and"
            " --cache_folder.",
        ),
        (
            "`root`: no such directory: 'x'; pass an existing one.",
            "--dataroot: no such directory: 'x'; pass an existing one.",
        ),
        ("no images", "no images"),
    ],
)
def test_a_message_on_a_finished_run_says_whose_flags_it_names(message, expected):
    assert on_finished_run(message) == expected
    with pytest.raises(UserError) as caught, of_finished_run():
        raise UserError(message)
    assert str(caught.value) == expected


@pytest.fixture(scope="module")
def run(tmp_path_factory, write_images):
    """The folder of a run whose photographs have moved since, one of them damaged."""
    place = tmp_path_factory.mktemp("moved")
    photos = place / "photos"
    write_images(photos, classes=4, per_class=3)
    for image in sorted(photos.rglob("*.*"))[-1:]:
        image.write_bytes(b"no image")
    options = {"arch": "resnet18", "weights": "none", "image_size": 16}
    config = Config(
        **options, dataset="folder", dataroot=str(place / "gone"), embedding_dim=4
    )
    model = create("resnet18", embedding_dim=4)
    folder = place / "run"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(asdict(config)))
    save_weights(folder / "weights.safetensors", model.params, model.batch_stats)
    return folder, photos


@pytest.mark.parametrize(
    ("found", "words"),
    [(False, "--dataroot: no such directory: "), (True, "--on_bad_image")],
)
def test_what_stops_the_evaluation_of_a_run_names_flags_and_whose_they_are(
    run, found, words, capsys
):
    folder, photos = run
    place = [f"--dataroot={photos}"] if found else []
    assert main(["evaluate", str(folder), *place]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert words in error
    others = {*re.findall("--[a-z_]+", error)} - {"--dataroot"}
    assert all(f"Only jml train takes {flag}" in error for flag in others)


def test_a_run_of_drawn_characters_has_no_place_for_them(tmp_path, capsys):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(asdict(Config())))
    assert main(["evaluate", str(folder), "--dataroot=elsewhere"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "--dataroot: 'elsewhere' is not used" in error
