"""The field's data sets that come with list files."""

import os

import numpy as np

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
