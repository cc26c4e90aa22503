import numpy as np
import pytest

from jml.evaluation import (
    add_clustering,
    adjusted_mutual_information,
    evaluate,
    kmeans,
    nearest_neighbours,
    normalized_mutual_information,
    recall_at_k,
)

pytestmark = pytest.mark.usefixtures("any_arguments")

X, LABELS = np.zeros((4, 2), np.float32), np.array([0, 0, 1, 1])
NAN, INFINITE = X.copy(), X.copy()
NAN[1, 1], INFINITE[3, 0] = np.nan, -np.inf

BAD_ITEMS = [
    ((X.astype(int), LABELS), "`embeddings` must be floating [n, d], got int64 (4, 2)"),
    ((X[0], LABELS), "`embeddings` must be floating [n, d], got float32 (2,)"),
    ((X[:, :0], LABELS), "`embeddings` must be floating [n, d], got float32 (4, 0)"),
    ((X[:0], LABELS[:0]), "`embeddings` must hold an item"),
    ((NAN, LABELS), "1 of 4 rows of `embeddings` hold NaN or infinity"),
    (
        (INFINITE, LABELS),
        "rows of `embeddings` hold NaN or infinity, the first of them",
    ),
    ((X, LABELS[:3]), "`labels` must be integer [4], got int64 (3,)"),
    ((X, LABELS[:, None]), "`labels` must be integer [4], got int64 (4, 1)"),
    ((X, LABELS / 1), "`labels` must be integer [4], got float64"),
    ((X, LABELS > 0), "`labels` must be integer [4], got bool"),
    ((X[:1], LABELS[:1]), "needs two items at least"),
    ((X, np.arange(4)), "no query has another item of its class"),
    ((X, LABELS, X), "`gallery` and `gallery_labels` must be given together"),
    (
        (X, LABELS, None, LABELS),
        "`gallery` and `gallery_labels` must be given together",
    ),
    ((X, LABELS, X[:, :1], LABELS), "`gallery` must have 2 columns"),
    ((X, LABELS, X[:0], LABELS[:0]), "`gallery` must hold an item"),
    ((X, LABELS, NAN, LABELS), "rows of `gallery` hold NaN or infinity"),
    ((X, LABELS, X > 0, LABELS), "`gallery` must be floating"),
    ((X, LABELS, X, LABELS[:3]), "`gallery_labels` must be integer [4]"),
    ((X, LABELS, X, LABELS / 1), "`gallery_labels` must be integer [4]"),
    ((X, LABELS, X, LABELS + 2), "no query has another item of its class"),
]
GALLERY = X, LABELS
BAD_OPTIONS = [
    ((), {"ks": (1, 4)}, "`ks` must be an integer from 1 to 3"),
    ((), {"ks": (1.5,)}, "`ks` must be an integer from 1 to 3, the number of items"),
    ((), {"ks": (0,)}, "`ks` must be an integer from 1 to 3"),
    ((), {"map_ks": (4,)}, "`map_ks` must be an integer from 1 to 3"),
    ((), {"map_ks": (-1,)}, "`map_ks` must be an integer from 1 to 3"),
    (GALLERY, {"ks": (5,)}, "`ks` must be an integer from 1 to 4"),
    (GALLERY, {"map_ks": (5,)}, "`map_ks` must be an integer from 1 to 4"),
    ((), {"metric": "manhattan"}, "`metric`"),
    (
        (),
        {"clusterings": -1},
        "`clusterings` must be an integer from 0 to 1000000",
    ),
    ((), {"seed": True}, "`seed` must be an integer from 0 to 2147483642, got True"),
    ((), {"resamples": -1}, "`resamples` must be an integer from 0 to 1000000, got -1"),
    ((), {"confidence": 0}, "`confidence` must be between 0 and 1, got 0"),
    ((), {"confidence": 1.0}, "`confidence` must be between 0 and 1, got 1.0"),
    ((), {"confidence": np.nan}, "`confidence` must be between 0 and 1"),
    ((), {"self_index": np.arange(4)}, "`self_index` must be None without a `gallery`"),
    (GALLERY, {"self_index": np.arange(3)}, "`self_index` must be integer [4]"),
    (GALLERY, {"self_index": np.ones(4)}, "`self_index` must be integer [4]"),
    (GALLERY, {"self_index": np.arange(4) + 1}, "`self_index` must be rows of"),
    (GALLERY, {"self_index": np.arange(4) - 2}, "`self_index` must be rows of"),
]


def case(value):
    """The options name a case, and so does what the message must say of them."""
    return str(value) if isinstance(value, dict | str) else ""


def check(function, words, *arguments, **options):
    with pytest.raises(ValueError) as caught:
        function(*arguments, **options)
    assert str(caught.value).startswith(f"{function.__name__}: ")
    assert words in str(caught.value)


@pytest.mark.parametrize("function", [evaluate, recall_at_k])
@pytest.mark.parametrize(
    ("arguments", "words"), BAD_ITEMS, ids=[words for _, words in BAD_ITEMS]
)
def test_evaluate_names_bad_items(function, arguments, words):
    check(function, words, *arguments, ks=(1,))


@pytest.mark.parametrize(("gallery", "options", "words"), BAD_OPTIONS, ids=case)
def test_evaluate_names_bad_options(gallery, options, words):
    check(evaluate, words, X, LABELS, *gallery, **options)


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (NAN, "the first of them row 1"),
        (INFINITE, "the first of them row 3"),
        (np.float32([[np.nan], [0], [0], [np.nan]]), "2 of 4 rows"),
    ],
    ids=["NaN", "infinite", "two rows"],
)
def test_rows_that_are_not_finite_are_counted_and_the_first_is_named(x, words):
    check(evaluate, words, x, LABELS)


@pytest.mark.parametrize("ks", [(4,), (0,)])
def test_recall_at_k_names_ks_out_of_range(ks):
    check(recall_at_k, "`ks` must be an integer from 1 to 3", X, LABELS, ks=ks)


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        ((X,), {"k": 4}, "`k` must be an integer from 1 to 3"),
        ((X,), {"k": 0}, "`k` must be an integer from 1 to 3"),
        ((X, X), {"k": 5}, "`k` must be an integer from 1 to 4"),
        ((X, X[:, :1]), {"k": 1}, "`gallery` must have 2 columns"),
        ((X, X[:0]), {"k": 1}, "`gallery` must hold an item"),
        ((X, NAN), {"k": 1}, "rows of `gallery` hold NaN"),
        ((NAN,), {"k": 1}, "rows of `embeddings` hold NaN"),
        ((X > 0,), {"k": 1}, "`embeddings` must be floating"),
        ((X,), {"k": 1, "metric": "dot"}, "`metric`"),
        ((X,), {"k": 1, "rows": []}, "`rows` must be integer [q], at least one"),
        ((X,), {"k": 1, "rows": [True, False]}, "`rows` must be integer [q]"),
        ((X,), {"k": 1, "rows": [-2]}, "`rows` must be from 0 to 3, got -2 to -2"),
        ((X,), {"k": 1, "progress": 3}, "`progress`"),
        ((X,), {"k": 1, "rows": [0, 4]}, "`rows` must be from 0 to 3, got 0 to 4"),
    ],
)
def test_nearest_neighbours_names_bad_input(arguments, options, words):
    check(nearest_neighbours, words, *arguments, **options)


@pytest.mark.parametrize(
    ("x", "k", "words"),
    [
        (X, 5, "`k` must be an integer from 1 to 4"),
        (X, 0, "`k` must be an integer from 1 to 4"),
        (NAN, 1, "rows of `embeddings` hold NaN"),
        (X.astype(int), 1, "`embeddings` must be floating"),
        (X[:0], 1, "`embeddings` must hold an item"),
    ],
)
def test_kmeans_names_bad_input(x, k, words):
    check(kmeans, words, x, k)


@pytest.mark.parametrize(
    "function", [normalized_mutual_information, adjusted_mutual_information]
)
@pytest.mark.parametrize(
    ("labels", "clusters", "words"),
    [
        (LABELS, LABELS[:3], "`labels` and `clusters` must be of one length"),
        (LABELS[:0], LABELS[:0], "must be of one length and not empty"),
        (LABELS / 1, LABELS, "`labels` must be integer [n]"),
        (LABELS, LABELS > 0, "`clusters` must be integer [n]"),
        (LABELS, LABELS[:, None], "`clusters` must be integer [n]"),
    ],
)
def test_nmi_and_ami_name_bad_partitions(function, labels, clusters, words):
    check(function, words, labels, clusters)


def test_clustering_of_other_embeddings_than_evaluated_is_refused():
    evaluation = evaluate(X, LABELS, clusterings=0, resamples=0)
    check(
        add_clustering,
        "has 4 queries, and `embeddings` 3 rows",
        evaluation,
        X[1:],
        LABELS[1:],
    )
    check(add_clustering, "`labels` must be integer [4]", evaluation, X, LABELS[1:])
    check(add_clustering, "`evaluation` must be an Evaluation", {}, X, LABELS)
    check(add_clustering, "`seed`", evaluation, X, LABELS, seed=-1)
