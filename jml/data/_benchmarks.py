"""The four data sets of the field, as their owners distribute them."""

import os
from pathlib import Path

import numpy as np

from jml.errors import UserError

from ._listing import bad_line, file_below, find_root, make_listing, read_list
from ._types import Listing


def cub200(root: str | os.PathLike) -> Listing:
    """Caltech-UCSD Birds 200-2011: classes 1 to 100 for training, the others to test.

    Args:
        root: the folder CUB_200_2011, or the one that holds it.

    Returns:
        The listing; every test image is searched for among the others.

    Raises:
        UserError: a list is missing or does not parse; names file and line.

    References:
        Wah et al.: The Caltech-UCSD Birds-200-2011 Dataset, 2011
    """
    needs = "pass the folder CUB_200_2011, unpacked from CUB_200_2011.tgz"
    root = find_root(root, "images.txt", "CUB_200_2011", needs=needs)
    labels_file, images_file = root / "image_class_labels.txt", root / "images.txt"
    label_of = {key: label for _, (key, label) in read_list(labels_file, (int, int))}
    pictures, classes, names = [], [], {}
    for number, (key, relative) in read_list(images_file, (int, str)):
        if key not in label_of:
            problem = f"image {key} has no class in {labels_file.name}"
            raise bad_line(images_file, number, problem)
        pictures.append(file_below(root / "images", relative, images_file, number))
        classes.append(label_of[key])
        names[label_of[key]] = relative.partition("/")[0]
    train = np.asarray(classes) <= 100
    return make_listing(
        "CUB-200-2011",
        pictures,
        classes,
        train=train,
        query=~train,
        class_name=names.__getitem__,
        expected={"train": (100, 5864), "query": (100, 5924)},
    )


def cars196(root: str | os.PathLike) -> Listing:
    """Stanford Cars: classes 1 to 98 for training, the others to test.

    Args:
        root: the folder with car_ims and cars_annos.mat; or with cars_train, cars_test
            and the devkit, in which cars_test_annos_withlabels.mat must be too.

    Returns:
        The listing; every test image is searched for among the others.

    Raises:
        UserError: a file is missing or not what it should be; names it.

    References:
        Krause et al.: 3D Object Representations for Fine-Grained Categorization, 2013
    """
    root = Path(root)
    if (root / "cars_annos.mat").exists():
        annotations = root / "cars_annos.mat"
        entries = _annotations(annotations, "relative_im_path", root)
        names = annotations
    else:
        trained = "cars_train_annos.mat"
        needs = "pass the folder with car_ims, or with cars_train and cars_test"
        devkit = find_root(root, trained, "devkit", needs=needs)
        tested = "cars_test_annos_withlabels.mat"
        labelled = find_root(root, tested, "devkit", needs="download that file too")
        entries = [
            *_annotations(devkit / trained, "fname", root / "cars_train"),
            *_annotations(labelled / tested, "fname", root / "cars_test"),
        ]
        names = devkit / "cars_meta.mat"
    class_names = [str(name) for name in _load_mat(names, "class_names")]
    pictures, classes = zip(*entries, strict=True)
    if not 1 <= min(classes) <= max(classes) <= len(class_names):
        raise UserError(
            f"--dataroot: {str(names)!r} names {len(class_names)} classes, and the"
            f" images have classes up to {max(classes)}; unpack the data set anew."
        )
    train = np.asarray(classes) <= 98
    return make_listing(
        "Cars196",
        pictures,
        classes,
        train=train,
        query=~train,
        class_name=lambda number: class_names[number - 1],
        expected={"train": (98, 8054), "query": (98, 8131)},
    )


def _annotations(path: Path, field: str, root: Path) -> list:
    """Picture and class of every entry of an annotation file."""
    entries = _load_mat(path, "annotations")
    try:
        return [
            (file_below(root, str(e[field]), path, i + 1), int(e["class"]))
            for i, e in enumerate(entries)
        ]
    except (IndexError, ValueError, TypeError):
        raise UserError(
            f"--dataroot: {str(path)!r} has annotations without {field} and class;"
            " unpack the data set anew."
        ) from None


def _load_mat(path: Path, variable: str) -> np.ndarray:
    from scipy.io import loadmat

    try:
        return np.atleast_1d(loadmat(path, squeeze_me=True)[variable])
    except Exception as error:  # the parser raises many kinds, all about this file
        reason = f"it lacks {error}" if isinstance(error, KeyError) else error
        raise UserError(
            f"--dataroot: cannot read {str(path)!r}: {reason}; unpack the data set"
            " anew."
        ) from None


def sop(root: str | os.PathLike) -> Listing:
    """Stanford Online Products: the split of Ebay_train.txt and Ebay_test.txt.

    Args:
        root: the folder Stanford_Online_Products, or the one that holds it.

    Returns:
        The listing; every test image is searched for among the others.

    Raises:
        UserError: a list is missing or does not parse; names file and line.

    References:
        Oh Song et al.: Deep Metric Learning via Lifted Structured Feature Embedding,
        2016, https://arxiv.org/abs/1511.06452
    """
    needs = "pass the folder Stanford_Online_Products"
    root = find_root(root, "Ebay_train.txt", "Stanford_Online_Products", needs=needs)
    pictures, classes, train = [], [], []
    for name in ("Ebay_train.txt", "Ebay_test.txt"):
        lines = read_list(root / name, (int, int, int, str), header=1)
        for number, (_, label, _, relative) in lines:
            pictures.append(file_below(root, relative, root / name, number))
            classes.append(label)
            train.append(name == "Ebay_train.txt")
    train = np.asarray(train, bool)
    return make_listing(
        "SOP",
        pictures,
        classes,
        train=train,
        query=~train,
        expected={"train": (11318, 59551), "query": (11316, 60502)},
    )


def in_shop(root: str | os.PathLike) -> Listing:
    """In-shop Clothes Retrieval: queries are searched for in a gallery.

    Args:
        root: the folder with Eval/list_eval_partition.txt and img.

    Returns:
        The listing.

    Raises:
        UserError: the list is missing or does not parse; names file and line.

    References:
        Liu et al.: DeepFashion: Powering Robust Clothes Recognition and Retrieval with
        Rich Annotations, 2016
    """
    listed = "list_eval_partition.txt"
    needs = "pass the folder that holds Eval/list_eval_partition.txt and img"
    folder = find_root(root, listed, "Eval", needs=needs)
    path = folder / listed
    images = find_root(root, "img", "Img", needs=needs)
    pictures, classes, roles = [], [], []
    lines = read_list(path, (str, str, str), header=2)
    for number, (relative, item, role) in lines:
        if role not in ("train", "query", "gallery"):
            raise bad_line(path, number, f"{role!r} is not train, query or gallery")
        pictures.append(file_below(images, relative, path, number))
        classes.append(item)
        roles.append(role)
    train, query, gallery = (
        np.array([role == name for role in roles], bool)
        for name in ("train", "query", "gallery")
    )
    return make_listing(
        "In-Shop",
        pictures,
        classes,
        train=train,
        query=query,
        gallery=gallery,
        expected={
            "train": (3997, 25882),
            "query": (3985, 14218),
            "gallery": (3985, 12612),
        },
    )
