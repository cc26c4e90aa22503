"""The class of a query, or none, by the nearest item of a gallery."""

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

import jml
from jml.errors import UserError
from jml.evaluation import Calibration, OperatingPoint
from jml.inference import Embeddings, load, write_calibration

pytestmark = pytest.mark.usefixtures("quick_compilation")
NAN = float("nan")


POINTS = (
    OperatingPoint(0.01, 3.0, 0.9, (0.8, 0.95), 0.1, 0.01, ""),
    OperatingPoint(1e-3, 2.0, 0.8, (0.7, 0.9), 0.1, 1e-3, ""),
    OperatingPoint(1e-4, None, None, None, None, None, "so few pairs"),
)


def write(folder, digest, **changes):
    """A calibration of which half the queries of a test are near enough."""
    numbers = {
        "confidence": 0.95,
        "auc": 0.9,
        "auc_error": 0.0,
        "eer": 0.1,
        "eer_threshold": 2.5,
    }
    counts = {"items": 9, "classes": 3, "genuine": 9, "impostors": 27}
    logistic = {"intercept": 2.0, "slope": -1.0, "calibration_error": 0.01}
    settings = {"metric": "euclidean", "digest": digest, "points": POINTS}
    settings |= numbers | counts | logistic | changes
    write_calibration(folder, Calibration(**settings))


@pytest.fixture
def calibrated(run, quick_compilation):
    model = jml.load(run)
    write(run, model.model["digest"])
    yield model
    (run / "threshold.json").unlink()


def embeddings(model, vectors, labels, **changes):
    paths = [f"{i}.png" for i in range(len(vectors))]
    return Embeddings(vectors, paths, labels, dict(model.model) | changes)


def test_the_answers_are_those_of_scikit_learn(calibrated):
    rng = np.random.default_rng(0)
    gallery = rng.normal(size=(50, 8)).astype(np.float32)
    query = rng.normal(size=(40, 8)).astype(np.float32)
    labels = [f"class {i % 7}" for i in range(50)]
    found = calibrated.match(query, (gallery, labels))
    search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(gallery)
    distances, rows = search.kneighbors(query.astype(np.float64))
    np.testing.assert_array_equal(found.rows, rows[:, 0])
    np.testing.assert_allclose(found.distances, distances[:, 0], rtol=1e-6)
    near = distances[:, 0] <= 2
    assert 0 < near.sum() < 40
    expected = [
        labels[row] if n else None for row, n in zip(rows[:, 0], near, strict=True)
    ]
    assert found.labels == expected
    np.testing.assert_allclose(
        found.probabilities, 1 / (1 + np.exp(distances[:, 0] - 2))
    )


def test_an_image_of_the_gallery_is_found_at_distance_zero(calibrated, paths):
    gallery = embeddings(calibrated, calibrated.embed(paths), list(map(str, paths)))
    found = calibrated.match([paths[66], paths[3]], gallery)
    assert found.labels == [str(paths[66]), str(paths[3])]
    np.testing.assert_array_equal(found.rows, [66, 3])
    np.testing.assert_array_equal(found.distances, 0)
    again = calibrated.match(gallery, gallery)
    assert again.labels == list(map(str, paths))


def test_at_the_threshold_a_query_is_accepted(calibrated):
    gallery = np.zeros((1, 8))
    query = np.zeros((3, 8))
    query[:, 0] = 2.0, np.nextafter(2.0, 3), 0
    found = calibrated.match(query, (gallery, np.array([7])))
    assert found.labels == [7, None, 7]


def test_items_without_a_label_are_left_out(calibrated):
    vectors = np.arange(4.0)[:, None] * np.ones((4, 8))
    gallery = embeddings(calibrated, vectors, [None, "a", None, "b"])
    found = calibrated.match(vectors[:3], gallery, far=1e-3)
    np.testing.assert_array_equal(found.rows, [1, 1, 1])
    assert found.labels == [None, "a", None]  # sqrt(8) is beyond 2
    for labels in (None, [None] * 4):
        with pytest.raises(UserError, match="`gallery`: no item has a label"):
            calibrated.match(vectors, embeddings(calibrated, vectors, labels))


def test_no_query_has_no_answer(calibrated):
    found = calibrated.match(np.zeros((0, 8)), (np.zeros((1, 8)), ["a"]))
    assert found.labels == [] and found.rows.shape == found.distances.shape == (0,)


def test_embeddings_of_another_model_are_refused(calibrated):
    vectors = np.zeros((2, 8))
    other = embeddings(calibrated, vectors, ["a", "b"], digest="0" * 64)
    words = r"it is of another model, with the digest 000000000000 and not \w{12};"
    with pytest.raises(UserError, match=f"^`gallery`: {words}"):
        calibrated.match(vectors, other)
    same = embeddings(calibrated, vectors, ["a", "b"])
    with pytest.raises(UserError, match=f"^`query`: {words}"):
        calibrated.match(other, same)


@pytest.mark.parametrize(
    ("query", "gallery", "words"),
    [
        (np.zeros((1, 8)), (np.full((3, 8), NAN), "abc"), "`gallery`: 3 of 3 vectors"),
        (np.full((1, 8), NAN), (np.zeros((3, 8)), "abc"), "`query`: 1 of 1 vectors"),
        (np.zeros((1, 9)), (np.zeros((3, 8)), "abc"), r"`query` must .* \[n, 8\]"),
        (np.zeros((1, 8)), (np.zeros((3, 9)), "abc"), r"`gallery` must .* \[n, 8\]"),
        (np.zeros((1, 8)), (np.zeros((3, 8)), "ab"), "a label for each of 3 vectors"),
        (np.zeros((1, 8)), (np.zeros((0, 8)), ""), "`gallery`: no item has a label"),
        (np.zeros((1, 8)), (np.zeros((3, 8)), None), "`gallery` must have labels"),
        (np.zeros((1, 8)), np.zeros((3, 8)), "`gallery` must be Embeddings, or vec"),
        (np.zeros((1, 8)), ([[0.0]], "a"), r"`gallery` must hold floating"),
    ],
)
def test_what_cannot_be_compared_is_refused(calibrated, query, gallery, words):
    with pytest.raises(ValueError, match=words):
        calibrated.match(query, gallery)


def test_without_a_calibration_that_fits_there_is_no_answer(calibrated, run):
    arguments = np.zeros((1, 8)), (np.zeros((1, 8)), ["a"])
    assert calibrated.match(*arguments, far=0.01).labels == ["a"]
    for far, words in ((0.5, "pass one of 0.01, 0.001"), (1e-4, "so few pairs; pass")):
        with pytest.raises(UserError, match=f"^`far`: .*{words}"):
            calibrated.match(*arguments, far=far)
    with pytest.raises(ValueError, match=r"match: `far` must"):
        calibrated.match(*arguments, far="x")
    with pytest.raises(UserError, match=r"weights; .* jml threshold '.*' --best$"):
        load(run, best=True).match(*arguments)
    digest = calibrated.model["digest"]
    write(run, digest, metric="cosine")
    with pytest.raises(UserError, match=r"is of the metric cosine; .* jml threshold"):
        calibrated.match(*arguments)
    write(run, "0" * 64)
    with pytest.raises(UserError, match=r"is of other weights; .* jml threshold"):
        calibrated.match(*arguments)
    (run / "threshold.json").write_text("{}")
    with pytest.raises(UserError, match=r"is damaged, .* jml threshold"):
        calibrated.match(*arguments)
    (run / "threshold.json").unlink()
    with pytest.raises(UserError, match=r"there is no .* jml threshold"):
        calibrated.match(*arguments)
    write(run, digest)
