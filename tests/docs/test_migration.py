"""The page for those who come from pytorch-metric-learning (PML)."""

import inspect
import re
from collections import Counter
from pathlib import Path
from pydoc import locate

import numpy as np
import pytest
import torch

import jml.distances
import jml.losses
import jml.pairwise

from .pml_classes import PACKAGE, installed_classes

PAGE = Path(__file__).parents[2] / "docs" / "migration.md"
TEXT = PAGE.read_text(encoding="utf-8")
CLASSES = Path(__file__).with_name("pml_2_9.txt").read_text(encoding="utf-8").split()
# The name of a module; below it, the rows of a table whose first cell is names.
SECTION = re.compile(r"^### ([^\n]+)$(.*?)(?=^### |\Z)", flags=re.DOTALL | re.MULTILINE)
ROW = re.compile(r"^\| (`[\w`, ]+`) \| ([^|]*) \| ([^|]*)\|$", flags=re.MULTILINE)
PACKAGES = [getattr(jml, name) for name in jml.__all__ if name != "__version__"]
LACKS = "not in JML"
ONE_LINE = "to write: 1 line"


def rows():
    """Of each row: module and class, what JML has, what differs."""
    for module, body in SECTION.findall(TEXT):
        for names, here, differs in ROW.findall(body):
            for name in names.strip("`").split("`, `"):
                yield f"{module}.{name}", here.strip(), differs.strip()


def find(name):
    """What a public name of JML stands for; None if there is none."""
    if name.startswith("jml."):
        package, _, name = name.rpartition(".")
        packages = [locate(package)]
    else:
        packages = PACKAGES
    public = [p for p in packages if name in getattr(p, "__all__", vars(p))]
    return getattr(public[0], name) if public else None


def test_there_is_a_row_for_each_class():
    classes = Counter(name for name, *_ in rows() if not name.startswith("Beside"))
    assert classes == Counter(CLASSES)


def test_the_summary_counts_the_rows():
    """In JML, to write, not in JML: of each module, and in all."""
    counts = {}
    for row, here, _ in rows():
        of_module = counts.setdefault(row.rpartition(".")[0], [0, 0, 0])
        of_module[2 if here == LACKS else "to write: " in here] += 1
    found = re.findall(
        r"^\| \[(.+)\]\(#(.+)\) \| (\d+) \| (\d+) \| (\d+) \|$", TEXT, re.M
    )
    assert {name: [int(n) for n in numbers] for name, _, *numbers in found} == counts
    for name, anchor, *_ in found:
        assert anchor == re.sub("[ .]", "-", name.lower())
    in_all = [sum(column) for column in zip(*counts.values(), strict=True)]
    sentence = r"classes, (\d+) are in JML and (\d+) are .*? other\s(\d+) are not"
    said = re.search(sentence, TEXT, re.S).groups()
    assert [int(n) for n in said] == in_all


def test_the_list_is_that_of_the_installed_version():
    pml = pytest.importorskip(PACKAGE)
    if not pml.__version__.startswith("2.9."):
        pytest.skip(f"{PACKAGE} is version {pml.__version__}")
    assert list(installed_classes()) == CLASSES


def test_the_migration_table_names_what_jml_has():
    """A row names what JML has, with arguments that it takes, or what it lacks."""
    for row, here, differs in rows():
        if "to write: " in here:
            assert here == ONE_LINE and "`" in differs, row
            continue
        assert here == LACKS or differs, row
        code = re.findall(r"`([^`]+)`", here)
        assert bool(code) != (here == LACKS), row
        for expression in code:
            name, _, arguments = expression.partition("(")
            function = find(name)
            assert function is not None, f"{row}: there is no {name}"
            for keyword in re.findall(r"(\w+)=", arguments):
                assert keyword in inspect.signature(function).parameters, row


def test_names_in_the_text_exist():
    """Words in backticks that end as JML's names do, but for PML's and the page's."""
    words = set(
        re.findall(r"`((?:jml\.)?[\w.]+_(?:loss|memory|proxies|distances))\b", TEXT)
    )
    for word in words - {"smooth_loss"} - set(re.findall(r"def (\w+)", TEXT)):
        assert find(word) is not None, word


def import_peers():
    """PML with the modules that these tests use."""
    for name in ("distances", "losses", "miners", "reducers"):
        pytest.importorskip(f"{PACKAGE}.{name}")
    return pytest.importorskip(PACKAGE)


def test_semi_hard_mining_equals_a_miner_of_pml_for_two_items_a_class(x64):
    """And differs with three, as the page says."""
    peers = import_peers()
    distance = peers.distances.LpDistance(normalize_embeddings=False, power=2)
    mean = peers.reducers.MeanReducer()
    miner = peers.miners.BatchEasyHardMiner("easy", "semihard", distance=distance)
    loss = peers.losses.TripletMarginLoss(2, distance=distance, reducer=mean)
    x = np.random.default_rng(0).normal(size=(24, 8))
    inputs, differences = torch.tensor(x), []
    for items in (2, 3):
        labels = np.arange(24) // items
        options = {"margin": 2.0, "mining": "semi", "convention": "paper"}
        value = float(jml.losses.triplet_loss(x, labels, **options))
        peer = torch.tensor(labels)
        expected = loss(inputs, peer, miner(inputs, peer)).item()
        differences.append(abs(value / expected - 1))
    assert differences[0] < 1e-12
    assert differences[1] > 1e-3
