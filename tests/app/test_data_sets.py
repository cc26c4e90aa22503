"""The command on the field's data sets, in miniature."""

import json

import jax
import numpy as np
import pytest

from jml.app._config import Config
from jml.errors import UserError
from tests.data import layouts
from tests.report.page import data_of

pytestmark = pytest.mark.usefixtures("short_network")
FLAGS = [
    "--arch=resnet18",
    "--weights=none",
    "--image_size=16",
    "--embedding_dim=8",
    "--maxiter=2",
    "--eval_interval=2",
    "--name=a",
]


def records(place):
    lines = (place / "a" / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.slow
@pytest.mark.usefixtures("without_reports")
def test_the_command_trains_on_cub_as_the_original_does(main, tmp_path, capsys):
    layouts.cub200(tmp_path / "birds")
    data = ["--dataset=CUB-200-2011", f"--dataroot={tmp_path / 'birds'}"]
    place = f"--checkpoints_path={tmp_path / 'runs'}"
    options = ["--loss=contrastive", "--sampler=cub", "--batch_size=7"]
    assert main([*FLAGS, *data, place, *options, "--cache=device"]) == 0
    errors = capsys.readouterr().err
    assert "9 images in 3 classes for train, where 5,864 in 100 are expected" in errors
    assert len([r for r in records(tmp_path / "runs") if "loss" in r]) == 2


@pytest.mark.slow
def test_the_command_trains_on_in_shop_as_the_original_does_and_streamed(
    main, tmp_path, capsys
):
    layouts.in_shop(tmp_path / "clothes", trained=(6, 6, 1))
    for path in (tmp_path / "clothes" / "img").rglob("id_00000000/00_front.jpg"):
        path.write_text("no image")
    data = ["--dataset=In-shop", f"--dataroot={tmp_path / 'clothes'}"]
    place = f"--checkpoints_path={tmp_path / 'runs'}"
    options = ["--sampler=in-shop", "--batch_size=5", "--augment=strong"]
    options += ["--cache=none", "--on_bad_image=skip"]
    assert main([*FLAGS, *data, place, *options]) == 0
    assert "1 of 19 images cannot be read" in capsys.readouterr().err
    found = [r for r in records(tmp_path / "runs") if "recall@1" in r]
    assert len(found) == 3
    # Three queries in a gallery of three: with k = 2 at most, and k = 4 makes no sense.
    assert {key for key in found[0] if "recall" in key} == {"recall@1", "recall@2"}
    assert all(
        3 * r["recall@1"] == pytest.approx(round(3 * r["recall@1"])) for r in found
    )


@pytest.mark.slow
def test_a_bad_image_met_in_training_is_one_line(main, tmp_path, capsys):
    listed = layouts.table(tmp_path)
    (tmp_path / "pictures" / "a1.jpg").write_text("no image")
    data = ["--dataset=csv", f"--dataroot={listed}", "--cache=none", "--batch_size=4"]
    place = [f"--checkpoints_path={tmp_path / 'runs'}", "--images_per_class=2"]
    assert main([*FLAGS, *data, *place, "--maxiter=30"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "cannot read the image" in error and "a1.jpg" in error


@pytest.mark.slow
def test_the_command_trains_on_classes_with_one_image(main, tmp_path, capsys):
    """They fill their places in training; in testing they are no queries."""
    root = tmp_path / "x"
    for split, counts in {"Train": (1, 1, 1), "TEST": (3, 2, 1)}.items():
        for c, images in enumerate(counts):
            for i in range(images):
                layouts.jpeg(
                    root / split / f"{split[1]}{c}" / "d" / f"{i}.jpg", 9 * c + i
                )
    data = [f"--dataroot={root}", "--nested", "--singletons=views", "--batch_size=4"]
    place = [f"--checkpoints_path={tmp_path}", "--images_per_class=2", "--cache=none"]
    assert main([*FLAGS, *data, *place]) == 0
    errors = capsys.readouterr().err
    assert "x: 3 of 3 training classes have a single image, which fills all K" in errors
    assert "x: 1 of 3 test classes have a single image, which stays in" in errors
    facts = data_of(tmp_path / "a" / "report.html")
    assert facts["counted"] == 5
    assert ["left out, without another item of their class", "1"] in facts["facts"]
    assert {key for key in records(tmp_path)[-1] if "@" in key} == {
        f"recall@{k}" for k in (1, 2, 4)
    }
    assert main([*FLAGS, *data[:2], *place, "--batch_size=4", "--resume"]) == 2
    assert "--singletons was views, is skip" in capsys.readouterr().err


def test_classes_that_are_never_drawn_are_not_numbered_for_training():
    from jml.app._inputs import make_batches
    from jml.data import Split
    from jml.training import data_mesh

    labels = np.array([7, 2, 7, 9, 5, 5, 7, 5], np.int32)
    split = Split(np.zeros((8, 4, 4, 3), np.uint8), labels)
    for singletons, known in (("skip", [5, 7]), ("views", [2, 5, 7, 9])):
        config = Config(batch_size=4, images_per_class=2, singletons=singletons)
        batches = make_batches(config, split, data_mesh(jax.devices()[:1]))
        assert batches.num_classes == len(known)
        for step in range(20):
            rows, (_, classes) = batches.indices(step=step), batches.batch(step)
            assert [known[c] for c in classes] == labels[rows].tolist()


def test_augmentation_gives_different_views_of_one_image():
    from jml.data import augment

    image = np.random.default_rng(0).integers(0, 256, (1, 40, 40, 3), np.uint8)
    places = np.repeat(image, 4, axis=0)
    views = np.array(augment(jax.random.key(0), places, crop=8, flip=False))
    assert len(np.unique(views.reshape(4, -1), axis=0)) == 4


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A data set of TFDS, prepared as ArrayRecord."""
    tfds = pytest.importorskip("tensorflow_datasets")
    place = tmp_path_factory.mktemp("tfds")

    class Toy(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            names = tfds.features.ClassLabel(names=list("abcd"))
            features = {"image": tfds.features.Image(), "label": names}
            features = tfds.features.FeaturesDict(features)
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _split_generators(self, manager):
            return {"train": self._made(0, 9), "test": self._made(9, 24)}

        def _made(self, first, last):
            for i in range(first, last):
                layouts.jpeg(place / "pictures" / f"{i}.jpg", i)
                yield i, {"image": place / "pictures" / f"{i}.jpg", "label": i % 4}

        def _generate_examples(self):
            raise NotImplementedError

    Toy(data_dir=place / "data", file_format="array_record").download_and_prepare()
    return place / "data"


def test_tfds_reads_a_prepared_data_set(toy, tmp_path):
    import sys

    from jml.data import decode, tfds

    root = tmp_path / "d\udce9"  # which ArrayRecord cannot open
    root.symlink_to(toy)
    listing = tfds("toy", root)
    assert "tensorflow" not in sys.modules
    assert listing.class_names == ("a", "b", "c", "d")
    assert len(listing.train) == len(listing.query) == 12
    assert set(listing.labels[listing.train]) == {0, 1}
    data = decode(listing, image_size=8, cache="host")
    colours = data.train.images[:].mean(axis=(1, 2))
    assert len(np.unique(colours.round(), axis=0)) == 12
    assert np.bincount(listing.labels).tolist() == [6, 6, 6, 6]


def test_tfds_keeps_the_split_of_stanford_online_products(tmp_path):
    tfds = pytest.importorskip("tensorflow_datasets")
    from jml.data import tfds as read

    class StanfordOnlineProducts(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            features = {
                "class_id": tfds.features.ClassLabel(num_classes=9),
                "image": tfds.features.Image(),
                "super_class_id": tfds.features.ClassLabel(num_classes=2),
            }
            features = tfds.features.FeaturesDict(features)
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _split_generators(self, manager):
            return {"train": self._made((7, 8)), "test": self._made((0, 1, 2, 3))}

        def _made(self, classes):
            layouts.jpeg(tmp_path / "x.jpg", 0)
            for c in classes:
                for i in range(2):
                    record = {"image": tmp_path / "x.jpg", "class_id": c}
                    yield 10 * c + i, record | {"super_class_id": 0}

        def _generate_examples(self):
            raise NotImplementedError

    builder = StanfordOnlineProducts(
        data_dir=tmp_path / "data", file_format="array_record"
    )
    builder.download_and_prepare()
    listing = read("stanford_online_products", tmp_path / "data")
    names = {listing.class_names[label] for label in listing.labels[listing.train]}
    assert names == {"7", "8"}
    assert len(listing.query) == 8
    assert len(set(listing.ids)) == 12  # the protocol counts images of equal bytes
    assert listing.notes[-1].startswith(
        "stanford_online_products: equal bytes: 8 of 8 test images also in training, 8"
    )


def test_a_tfds_builder_that_needs_tensorflow_is_one_line(tmp_path):
    tfds = pytest.importorskip("tensorflow_datasets")
    from tensorflow_datasets.core.utils import lazy_imports_utils

    from jml.data import tfds as read

    class NeedsTensorflow(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            features = {
                "image": tfds.features.Image(),
                "label": tfds.features.ClassLabel(num_classes=2),
            }
            features = tfds.features.FeaturesDict(features)
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _split_generators(self, manager):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            yield 0, {"label": lazy_imports_utils.tensorflow.io.gfile.glob("*")}

    with pytest.raises(UserError, match="needs tensorflow to be prepared, once"):
        read("needs_tensorflow", tmp_path, download=True)
    with pytest.raises(UserError, match="pass `download=True`"):
        read("needs_tensorflow", tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("without_reports")
def test_the_command_trains_on_a_data_set_of_tfds(toy, main, tmp_path, capsys):
    flags = [*FLAGS, f"--dataroot={toy}", "--dataset=tfds:toy", "--batch_size=8"]
    assert main([*flags, f"--checkpoints_path={tmp_path}"]) == 0
    for name, words in (
        ("nosuch", "neither a data set"),
        ("cars196", "not prepared in"),
        ("../x", "cannot be opened"),
    ):
        assert main([*flags, f"--dataset=tfds:{name}"]) == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert f"--dataset: tfds:{name}" in error and words in error


@pytest.mark.parametrize(
    ("cache", "memory", "kept"),
    [
        (None, None, False),
        (None, {}, False),
        (None, {"bytes_limit": 2 * 24 * 16 * 16 * 3}, False),
        (None, {"bytes_limit": 2 * 24 * 16 * 16 * 3 + 2}, True),
        ("host", {"bytes_limit": 10**12}, False),
        ("device", None, True),
    ],
)
def test_images_stay_on_a_device_with_room(monkeypatch, cache, memory, kept):
    from jml.app._inputs import keeps_on_device

    class Device:
        def memory_stats(self):
            return memory

    monkeypatch.setattr("jml.app._inputs.default_device", Device)
    images = np.empty((24, 16, 16, 3), np.uint8)
    assert keeps_on_device(cache, images) == kept


@pytest.mark.parametrize(
    ("cache", "keep"),
    [
        (None, "disk"),
        ("device", "disk"),
        ("disk", "disk"),
        ("host", "host"),
        ("none", "host"),
    ],
)
def test_glyphs_are_kept_where_decoded_images_are(monkeypatch, cache, keep):
    from jml.app import _inputs

    seen = {}
    monkeypatch.setattr(_inputs, "glyphs", lambda **options: seen.update(options))
    _inputs.load_dataset(Config(cache=cache, cache_folder="some"), None)
    assert seen == {"image_size": 32, "cache": keep, "cache_folder": "some"}
