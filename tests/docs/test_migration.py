"""The page for those who come from pytorch-metric-learning (PML)."""

import inspect
import re
from collections import Counter
from pathlib import Path
from pydoc import locate

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import jml.losses
from jml.distances import euclidean_distances
from jml.pairwise import Batch, count_true, masked_sum, pair_loss
from tests.parity import assert_close

from .pml_classes import PACKAGE, installed_classes

PAGE = Path(__file__).parents[2] / "docs" / "migration.md"
TEXT = PAGE.read_text(encoding="utf-8")
CLASSES = Path(__file__).with_name("pml_2_9.txt").read_text(encoding="utf-8").split()
# The name of a module; below it, the rows of a table whose first cell is a name.
SECTION = re.compile(r"^### ([^\n]+)$(.*?)(?=^### |\Z)", flags=re.DOTALL | re.MULTILINE)
ROW = re.compile(r"^\| `(\w+)` \| ([^|]*) \| ([^|]*)\|$", flags=re.MULTILINE)
PACKAGES = [getattr(jml, name) for name in jml.__all__ if name != "__version__"]
LACKS = "not in JML"


def rows():
    """Of each row: module and class, what JML has, what differs."""
    for module, body in SECTION.findall(TEXT):
        for name, here, differs in ROW.findall(body):
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


def test_the_list_is_that_of_the_installed_version():
    pml = pytest.importorskip(PACKAGE)
    if not pml.__version__.startswith("2.9."):
        pytest.skip(f"{PACKAGE} is version {pml.__version__}")
    assert list(installed_classes()) == CLASSES


def test_the_migration_table_names_what_jml_has():
    """A row names what JML has, with arguments that it takes, or says "not in JML"."""
    for row, here, differs in rows():
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
    """Words in backticks that end as JML's names do, but for an argument of PML."""
    words = set(
        re.findall(r"`((?:jml\.)?[\w.]+_(?:loss|memory|proxies|distances))\b", TEXT)
    )
    for word in words - {"smooth_loss"}:
        assert find(word) is not None, word


# The rows that say "One row of distances": each as a formula over rows.
def log_sum(logits, where):
    return jax.nn.logsumexp(jnp.where(where, logits, -jnp.inf), axis=1)


def cosines(rows):
    return 1 - rows.squared / 2


def ntxent(rows):
    logits = cosines(rows) / 0.07
    terms = jnp.logaddexp(logits, log_sum(logits, rows.negative)[:, None]) - logits
    return masked_sum(terms, rows.positive), count_true(rows.positive, terms.dtype)


def sup_con(rows):
    logits = cosines(rows) / 0.1
    of_positives = masked_sum(logits, rows.positive)
    of_positives /= count_true(rows.positive, logits.dtype)
    terms = log_sum(logits, rows.positive | rows.negative) - of_positives
    return terms, (terms > 0).astype(terms.dtype)


def circle(rows, margin=0.4, gamma=80):
    s, weigh = cosines(rows), jax.lax.stop_gradient
    of_positives = -gamma * weigh(jnp.maximum(1 + margin - s, 0)) * (s - 1 + margin)
    of_negatives = gamma * weigh(jnp.maximum(s + margin, 0)) * (s - margin)
    terms = jax.nn.softplus(
        log_sum(of_positives, rows.positive) + log_sum(of_negatives, rows.negative)
    )
    return terms, (terms > 0).astype(terms.dtype)


def generalized_lifted(rows):
    d = euclidean_distances(rows.squared)
    terms = log_sum(d, rows.positive) + log_sum(1 - d, rows.negative)
    return jnp.maximum(terms, 0), jnp.ones_like(terms)


def nca(rows):
    pairs = rows.positive | rows.negative
    terms = log_sum(-rows.squared, pairs) - log_sum(-rows.squared, rows.positive)
    return terms, jnp.ones_like(terms)


def tuplet(rows):
    s = cosines(rows)
    angles = jnp.arccos(jnp.where(rows.positive, s, 0)) - np.radians(5.73)
    of_negatives = log_sum(64 * s, rows.negative)[:, None]
    terms = jnp.logaddexp(0, of_negatives - 64 * jnp.cos(angles))
    return masked_sum(terms, rows.positive), count_true(rows.positive, terms.dtype)


FORMULAS = {
    "CircleLoss": circle,
    "GeneralizedLiftedStructureLoss": generalized_lifted,
    "NCALoss": nca,
    "NTXentLoss": ntxent,
    "SupConLoss": sup_con,
    "TupletMarginLoss": tuplet,
}


def test_the_formulas_below_are_those_of_the_page():
    marked = [
        row.rpartition(".")[2]
        for row, _, differs in rows()
        if differs.startswith("One row of distances")
    ]
    assert marked == list(FORMULAS)


@pytest.mark.parametrize("name", FORMULAS)
def test_a_formula_over_one_row_is_that_of_pml(x64, quick_compilation, name):
    peers = pytest.importorskip(f"{PACKAGE}.losses")
    x, labels = np.random.default_rng(0).normal(size=(24, 8)), np.arange(24) // 4

    def loss(x):
        return pair_loss(name, FORMULAS[name], Batch(x, labels), {}, normalized=True)

    value, grad = jax.value_and_grad(loss)(x)
    inputs = torch.tensor(x, requires_grad=True)
    expected = getattr(peers, name)()(inputs, torch.tensor(labels))
    expected.backward()
    assert_close(value, expected.item(), 1e-13, label=name)
    assert_close(grad, inputs.grad.numpy(), 1e-12, label=f"gradient of {name}")


def test_semi_hard_mining_equals_a_miner_of_pml_for_two_items_a_class(x64):
    """And differs with three, as the page says."""
    peers = pytest.importorskip(PACKAGE)
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
