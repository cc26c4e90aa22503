"""Images in, embeddings out: those of the evaluation, bit for bit."""

import shutil

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

import jml
from jml.app._embed import make_embed_test, make_embedder
from jml.data import Dataset, Split, decode, folder, read_image
from jml.errors import UserError
from jml.models import create
from tests.app.striped_images import draw
from tests.inference.conftest import CONFIG

pytestmark = pytest.mark.usefixtures("quick_compilation")


@pytest.fixture(scope="module")
def model(run, quick_compilation):
    return jml.load(run)


@pytest.fixture(scope="module")
def expected(run, paths, quick_compilation):
    """By the parts that `jml evaluate` is made of."""
    network = create(
        "resnet18",
        embedding_dim=8,
        l2norm=True,
        weights=str(run / "weights.safetensors"),
    )
    squares = np.stack([read_image(path, image_size=18) for path in paths])
    split = Split(squares, np.zeros(len(paths), np.int32))
    dataset = Dataset("images", split, split, None, ("a",))
    embedder = make_embedder(network.graphdef, CONFIG)
    embed_test = make_embed_test(embedder, dataset, CONFIG.batch_size_test)
    return embed_test(network.params, network.batch_stats).query


def pixels_of(path):
    return np.asarray(Image.open(path))


def equal(found, expected):
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


def test_the_embeddings_of_files_are_those_of_the_evaluation(model, paths, expected):
    assert np.abs(expected[0] - expected[1]).max() > 1e-3
    equal(model.embed(paths), expected)
    equal(model.embed(map(str, paths), batch_size=7), expected)


@pytest.mark.parametrize("count", [0, 1, 2, 63, 64, 65])
def test_an_image_has_the_same_embedding_in_any_company(model, paths, expected, count):
    found = model.embed(paths[:count])
    assert found.shape == (count, model.dim) == (count, 8)
    equal(found, expected[:count])
    equal(model.embed(paths[count:]), expected[count:])


def test_arrays_are_embedded_as_files_are(model, paths, expected):
    arrays = [pixels_of(path) for path in paths[:5]]
    assert len({array.shape for array in arrays}) > 1
    equal(model.embed(arrays), expected[:5])
    equal(model.embed(arrays[0][None]), expected[:1])
    equal(model.embed([arrays[0], paths[1]]), expected[:2])
    equal(model.embed(np.array([str(path) for path in paths[:2]])), expected[:2])


def test_squares_are_embedded_as_they_are(model, paths, expected):
    squares = np.stack([read_image(path, image_size=model.side) for path in paths])
    equal(model.embed(squares), expected)
    equal(model.embed(Split(squares, np.zeros(70, np.int32))), expected)
    large = squares.repeat(2, axis=1).repeat(2, axis=2)
    resized = [np.asarray(Image.fromarray(x).resize((18, 18), 2)) for x in large[:3]]
    equal(model.embed(large[:3]), model.embed(np.stack(resized)))


def test_the_split_of_a_data_set_is_embedded(model, tmp_path):
    draw(tmp_path, classes=4, per_class=2)
    listing = folder(tmp_path)
    files = [listing.images[row].name for row in listing.query]
    expected = model.embed(files)
    for cache in ("host", "none"):
        dataset = decode(listing, image_size=model.side, cache=cache)
        equal(model.embed(dataset.query), expected)
    equal(model.embed([listing.images[row] for row in listing.query]), expected)
    with pytest.raises(ValueError, match=r"got a data set; pass its `query`"):
        model.embed(dataset)


def test_batches_come_in_order_and_progress_counts_images(model, paths, expected):
    # 64 images at once, whatever is asked for: matrix products of other numbers of rows
    # are rounded otherwise on CPUs, in networks larger than this one.
    for size in (7, 64, 256):
        batches = list(model.embed_batches(paths, batch_size=size))
        assert [len(rows) for rows, _ in batches] == [64, 6]
    np.testing.assert_array_equal(np.concatenate([b[0] for b in batches]), range(70))
    equal(np.concatenate([b[1] for b in batches]), expected)
    seen = []

    def progress(images, total):
        assert total == 70
        for image in images:
            seen.append(image)
            yield image

    equal(model.embed(paths, progress=progress), expected)
    assert seen == list(range(70))


def test_images_that_cannot_be_read_are_reported(model, paths, expected, tmp_path):
    (tmp_path / "text.png").write_text("no image")
    mixed = [paths[0], tmp_path / "text.png", *paths[1:66], tmp_path / "none.png"]
    bad = {}
    batches = list(model.embed_batches(mixed, on_bad=bad.__setitem__))
    rows, vectors = map(np.concatenate, zip(*batches, strict=True))
    assert sorted([*rows, *bad]) == list(range(68)) and list(bad) == [1, 67]
    equal(vectors, expected[:66])
    assert bad[1].reason == "its content is no image that Pillow knows"
    assert bad[67].reason == "No such file or directory"
    with pytest.raises(UserError, match=r"^`images`: cannot read .*text\.png.* out\.$"):
        model.embed(mixed)
    with pytest.raises(UserError, match=r"^`images`: cannot read .*none\.png'"):
        list(model.embed_batches(mixed[2:]))


def test_bfloat16_is_a_choice(model, paths, expected):
    equal(model.embed(paths[:4], bfloat16=False), expected[:4])
    half = model.embed(paths[:4], bfloat16=True)
    assert 1e-4 < np.abs(half - expected[:4]).max() < 0.05


def test_few_images_are_in_memory_at_once(model, paths, monkeypatch):
    """The reader waits for the devices: four batches ahead at most."""
    from jml.inference import _inputs

    opened = []

    def read(image, *, image_size):
        opened.append(image)
        return np.zeros((image_size, image_size, 3), np.uint8)

    monkeypatch.setattr(_inputs, "read_image", read)
    many = [paths[0]] * 64 * 30
    batches = model.embed_batches(many)
    next(batches)
    assert len(opened) <= 64 * 8
    batches.close()


@pytest.mark.parametrize(
    ("images", "words"),
    [
        ("a.jpg", "`images`: a single path, 'a.jpg'; pass a list of paths"),
        (np.zeros((2, 8, 8, 3)), "`images` must be paths, uint8 .* got float64 "),
        (np.zeros((8, 8, 3), np.uint8), r"got uint8 \(8, 8, 3\)"),
        (3, "or a split of a data set, got 3"),
        (["a.jpg", 3], "number 1 is 3"),
        ([np.zeros((8, 8), np.uint8)], r"number 0 is uint8 \(8, 8\)"),
        ([np.zeros((0, 8, 3), np.uint8)], r"number 0 is uint8 \(0, 8, 3\)"),
        ([b"a.jpg"], "number 0 is b'a.jpg'"),
        (["a\0b"], "null character"),
    ],
)
def test_what_is_no_image_is_refused(model, images, words):
    with pytest.raises(ValueError, match=words):
        model.embed(images)


def test_other_mistakes_are_refused(model, paths, any_arguments):
    with pytest.raises(ValueError, match="`batch_size` must be a positive integer"):
        model.embed(paths, batch_size=0)
    with pytest.raises(ValueError, match="`bfloat16` must be True, False or None"):
        model.embed(paths, bfloat16="no")
    with pytest.raises(ValueError, match="`progress` must be a function or None"):
        model.embed(paths, progress=True)


def test_embeddings_that_are_not_finite_are_refused(run, paths, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    file = tmp_path / "run" / "weights.safetensors"
    tensors = load_file(file)
    tensors["fc.bias"][0] = np.nan
    save_file(tensors, file)
    with pytest.raises(UserError, match=r"not finite, first of image 0;"):
        jml.load(tmp_path / "run").embed(paths[:2])
