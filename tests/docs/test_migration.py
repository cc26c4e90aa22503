"""The page for those who come from pytorch-metric-learning (PML)."""

import ast
import inspect
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from pydoc import locate
from types import MappingProxyType
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import jml.distances
import jml.losses
import jml.pairwise
from jml.pairwise import Batch, pair_loss
from tests.parity import assert_close

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
            assert here.startswith("[") or (here == ONE_LINE and "`" in differs), row
            continue  # a test below counts the lines of formulas
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


# The formulas of the page by name, and those of the rows "to write".
CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(?:---.*?---\n)?(.*?)^```$", re.M | re.S)
NAMESPACE = {
    **{name: getattr(jml.pairwise, name) for name in jml.pairwise.__all__},
    "euclidean_distances": jml.distances.euclidean_distances,
    "jax": jax,
    "jnp": jnp,
}
CODE = {
    function.name: function
    for cell in CELL.findall(TEXT)
    for function in ast.parse(cell).body
    if isinstance(function, ast.FunctionDef) and function.name.endswith("_terms")
}
exec("\n\n".join(ast.unparse(function) for function in CODE.values()), NAMESPACE)


class Formula(NamedTuple):
    """A formula of the page, and PML's loss and miner, with PML's defaults."""

    terms: str
    numbers: Mapping
    choices: Mapping = MappingProxyType({})
    loss: str = ""
    miner: str = ""
    of_loss: Mapping = MappingProxyType({})
    of_miner: Mapping = MappingProxyType({})


FORMULAS = {
    "BatchHardMiner": Formula(
        "batch_hard", {"margin": 0.05}, loss="TripletMarginLoss", miner="BatchHardMiner"
    ),
    "MultiSimilarityMiner": Formula(
        "mined_similarity",
        {"alpha": 2.0, "beta": 50.0, "base": 0.5, "epsilon": 0.1},
        loss="MultiSimilarityLoss",
        miner="MultiSimilarityMiner",
    ),
    "TripletMarginMiner": Formula(
        "semihard",
        {"margin": 0.05, "mined_margin": 0.2},
        loss="TripletMarginLoss",
        miner="TripletMarginMiner",
        of_miner={"type_of_triplets": "semihard"},
    ),
}


def test_the_formulas_are_those_of_the_rows():
    """A row names the lines of its formula, without the docstring."""
    lines = {}
    for row, here, _ in rows():
        found = re.fullmatch(r"\[to write: (\d+) lines\]\(#formulas-to-copy\)", here)
        if found:
            lines[row.rpartition(".")[2]] = int(found[1])
    assert sorted(lines) == sorted(FORMULAS)
    for name, formula in FORMULAS.items():
        code = CODE[f"{formula.terms}_terms"]
        source = code.end_lineno - code.lineno + 1
        blank = 2 * sum(isinstance(part, ast.FunctionDef) for part in code.body)
        documented = ast.get_docstring(code) is not None
        assert lines[name] == source - documented - blank, name


def import_peers():
    """PML with the modules that these tests use."""
    for name in ("distances", "losses", "miners", "reducers"):
        pytest.importorskip(f"{PACKAGE}.{name}")
    return pytest.importorskip(PACKAGE)


def compare_with_pml(formula, x, labels):
    """Value and gradient of a formula and of its peer."""
    peers = import_peers()
    terms = NAMESPACE[f"{formula.terms}_terms"]
    loss = lambda x: pair_loss(  # noqa: E731
        formula.terms,
        terms,
        Batch(x, labels),
        formula.numbers,
        choices=formula.choices,
        normalized=True,
    )
    value, grad = jax.value_and_grad(loss)(x)
    inputs, y = torch.tensor(x, requires_grad=True), torch.tensor(labels)
    mined = None
    if formula.miner:
        mined = getattr(peers.miners, formula.miner)(**formula.of_miner)(inputs, y)
    expected = getattr(peers.losses, formula.loss)(**formula.of_loss)(inputs, y, mined)
    expected.backward()
    assert_close(value, expected.item(), 1e-12, label=formula.terms)
    assert_close(grad, inputs.grad.numpy(), 1e-12, label=f"gradient of {formula.terms}")


@pytest.mark.parametrize("name", FORMULAS)
def test_a_formula_over_one_row_is_that_of_pml(x64, quick_compilation, name):
    """Also where some classes have a single item, with the exception the page names."""
    formula = FORMULAS[name]._replace(loss=FORMULAS[name].loss or name)
    x = np.random.default_rng(0).normal(size=(24, 8))
    labels = np.arange(24) // 4
    if name != "GeneralizedLiftedStructureLoss":
        labels[-3:] = 10, 11, 12
    compare_with_pml(formula, x, labels)


@pytest.mark.parametrize(
    ("old", "new", "of_miner"),
    [
        ("mined &= (gap > 0) & (gap <= mined_margin)", "", None),
        ("(gap > 0) & (gap <= mined_margin)", "gap <= 0", {"type_of_triplets": "hard"}),
    ],
)
def test_the_lines_to_change_in_triplets(x64, quick_compilation, old, new, of_miner):
    """All triplets without the line that mines; hard triplets with another."""
    source = ast.unparse(CODE["semihard_terms"])
    assert old in source
    exec(source.replace(old, new).replace("semihard", "changed"), NAMESPACE)
    formula = FORMULAS["TripletMarginMiner"]._replace(terms="changed")
    if of_miner is None:
        formula = formula._replace(miner="")
    x = np.random.default_rng(0).normal(size=(24, 8))
    compare_with_pml(formula._replace(of_miner=of_miner), x, np.arange(24) // 4)


def test_the_triplets_take_cosines(x64, quick_compilation):
    """Of -s in the place of distances, with PML's margins."""
    cosine = {"distance": import_peers().distances.CosineSimilarity()}
    source = ast.unparse(CODE["semihard_terms"]).replace("semihard", "cosine")
    source = source.replace("euclidean_distances(rows.squared)", "rows.squared / 2 - 1")
    exec(source, NAMESPACE)
    formula = FORMULAS["TripletMarginMiner"]
    of_miner = {**formula.of_miner, **cosine}
    formula = formula._replace(terms="cosine", of_loss=cosine, of_miner=of_miner)
    x = np.random.default_rng(0).normal(size=(24, 8))
    compare_with_pml(formula, x, np.arange(24) // 4)


def test_a_larger_margin_comes_close_to_triplets_of_distances(x64):
    """The direction of the gradient; loss and gradient are 2.8 times as large."""
    peers = import_peers()
    labels = np.arange(32) // 4
    x = np.random.default_rng(0).normal(size=(32, 32))
    peer = peers.losses.TripletMarginLoss(0.2, reducer=peers.reducers.MeanReducer())
    inputs = torch.tensor(x, requires_grad=True)
    expected = peer(inputs, torch.tensor(labels))
    expected.backward()
    gradient = inputs.grad.numpy()

    def loss(x):
        options = {"margin": 2.8 * 0.2, "mining": "all", "convention": "paper"}
        return jml.losses.triplet_loss(jml.distances.normalize(x), labels, **options)

    value, ours = jax.value_and_grad(loss)(x)
    assert 2.7 < value / expected.item() < 2.9
    sizes = np.linalg.norm(ours), np.linalg.norm(gradient)
    assert 2.7 < sizes[0] / sizes[1] < 2.9
    assert (ours * gradient).sum() > 0.99 * sizes[0] * sizes[1]


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
