"""The report that the tests of a page share."""

import pytest

from .small import NASTY, RECORDS, items, write


@pytest.fixture
def without_plots(monkeypatch):
    """Reports are their pages alone: for tests that look at nothing else."""
    monkeypatch.setattr("jml.report._report.save_plots", lambda *_: None)


@pytest.fixture(scope="session")
def report(tmp_path_factory):
    """90 images of 6 classes, one of them with a nasty name."""
    folder = tmp_path_factory.mktemp("report")
    names = {0: NASTY, 1: "crane", 2: "$x_2$ & <b>bold</b>", 3: "鶴", 4: "wren"}
    return write(folder, items(90, 6), class_names=names, records=RECORDS, title=NASTY)
