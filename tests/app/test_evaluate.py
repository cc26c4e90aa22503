"""``python -m jml.evaluation`` on files, as its user meets it."""

import numpy as np
import pytest

from jml.app._array_files import load_class_names
from jml.app._evaluate import main
from jml.evaluation import evaluate
from tests.report.page import data_of
from tests.report.small import NASTY, items


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Query and gallery as .npy files in the current folder."""
    monkeypatch.chdir(tmp_path)
    query, gallery = items(30, 4), items(20, 4, seed=1)
    for name, part in (("q", query), ("g", gallery)):
        np.save(f"{name}.npy", part.embeddings)
        np.save(f"{name}-labels.npy", part.labels)
        np.save(f"{name}-images.npy", part.images)
    names = f"{NASTY}\r\nwren \t\r\n"  # as an editor of Windows saves them
    (tmp_path / "names.txt").write_bytes(names.encode("utf-16"))
    np.save("nan.npy", np.where(np.arange(30)[:, None] == 7, np.nan, query.embeddings))
    np.save("floats.npy", query.labels / 2)
    np.save("flat.npy", query.images[:, 0])
    np.savez("several.npz", a=query.labels, b=query.labels)
    np.save("objects.npy", np.array([{}]), allow_pickle=True)
    np.save("alone.npy", np.arange(30))
    (tmp_path / "text.npy").write_text("not an array")
    (tmp_path / "empty.npy").write_bytes(b"")
    (tmp_path / "zip.npy").write_bytes(b"PK\x03\x04 and no more")
    (tmp_path / "run").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text('{"some": "other project"}')
    return tmp_path


pytestmark = pytest.mark.usefixtures("quick_compilation")


@pytest.fixture
def without_plots(monkeypatch):
    """The report is its page alone: for tests that look at nothing else."""
    monkeypatch.setattr("jml.report._report.save_plots", lambda *_: None)


QUICK = ["--resamples=20", "--clusterings=1"]


def test_the_table_of_the_command_is_the_evaluation(files, capsys):
    pair = ["q.npy", "q-labels.npy", "g.npy", "g-labels.npy"]
    images = ["--images=q-images.npy", "--gallery_images=g-images.npy"]
    more = ["--ks", "1", "10", "--map_ks", "5", "--metric=cosine", "--seed=3"]
    assert main([*pair, *images, *more, *QUICK, "--class_names=names.txt"]) == 0
    out, err = capsys.readouterr()
    arrays = [np.load(name) for name in pair]
    options = {"metric": "cosine", "seed": 3, "resamples": 20, "clusterings": 1}
    found = evaluate(*arrays, ks=(1, 10), map_ks=(5,), **options)
    lines = dict(line.split(None, 1) for line in out.splitlines()[1:-1])
    assert set(lines) == set(found.metrics)
    for name, value in found.metrics.items():
        assert lines[name].startswith(f"{100 * value:.2f} %")
    assert out.splitlines()[0] == "30 queries"
    assert "report: the page" in err
    data = data_of(files / "report.html")
    assert data["classes"]["name"] == [NASTY, "wren", "2", "3"]
    assert data["images"] is True
    assert "--metric=cosine" in data["reproduce"][0][1]


@pytest.mark.usefixtures("without_plots")
def test_an_evaluation_leaves_out_items_of_the_class_and_group_of_the_query(
    files, capsys
):
    rng = np.random.default_rng(0)
    parts = [np.load(f"{name}.npy") for name in ("q", "q-labels", "g", "g-labels")]
    groups = [rng.integers(-1, 2, len(labels)) for labels in parts[1::2]]
    for name, group in zip("qg", groups, strict=True):
        np.save(f"{name}-groups.npy", group.astype(np.int8))
    names = ["q.npy", "q-labels.npy", "g.npy", "g-labels.npy"]
    options = ["--groups=q-groups.npy", "--gallery_groups=g-groups.npy"]
    assert main([*names, *options, *QUICK]) == 0
    out, err = capsys.readouterr()
    hits = []
    for x, label, group in zip(*parts[:2], groups[0], strict=True):
        kept = (parts[3] != label) | (groups[1] != group) | (group == -1)
        near = np.argsort(np.linalg.norm(parts[2][kept] - x, axis=1))
        if label in parts[3][kept]:
            hits.append(parts[3][kept][near[0]] == label)
    lines = out.splitlines()
    assert lines[0].startswith(f"{len(hits)} queries")
    (recall,) = [line for line in lines if line.startswith("recall@1 ")]
    assert f" {100 * np.mean(hits):.2f} %" in recall
    assert "groups are in use" in err
    facts = dict(data_of(files / "report.html")["facts"])
    assert "class and group" in facts["left out of each ranking"]


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (b"\xef\xbb\xbfcat\r\n\r\nsong thrush\t\n", {0: "cat", 2: "song thrush"}),
        (b"caf\xe9\rcat", {0: "caf\ufffd", 1: "cat"}),
        ("a\u2028b\n".encode(), {0: "a\u2028b"}),
    ],
)
def test_class_names_are_read_as_any_editor_saves_them(tmp_path, content, names):
    (tmp_path / "names.txt").write_bytes(content)
    assert load_class_names(str(tmp_path / "names.txt")) == names


@pytest.mark.slow
@pytest.mark.usefixtures("without_plots")
def test_an_earlier_report_is_replaced_only_if_asked(files, capsys):
    (files / "report.html").write_text("mine")
    assert main(["q.npy", "q-labels.npy", *QUICK]) == 2
    assert "--out: 'report.html' exists" in capsys.readouterr().err
    assert (files / "report.html").read_text() == "mine"
    assert main(["q.npy", "q-labels.npy", *QUICK, "--overwrite"]) == 0
    assert (files / "report.html").read_text() != "mine"


MISTAKES = {
    "nan.npy q-labels.npy": "1 of 30 rows of 'nan.npy' hold NaN or infinity, the first",
    "q.npy floats.npy": "'floats.npy' must be integer [30], got float64",
    "q.npy g-labels.npy": "'g-labels.npy' must be integer [30]",
    "q.npy": "pass embeddings and labels, or those and a gallery's, got 1 files",
    "q.npy q-labels.npy g.npy": "got 3 files",
    "q.npy alone.npy": "no query has another item",
    "q.npy q-labels.npy --ks 30": "each of --ks must be an integer from 1 to 29",
    "q.npy q-labels.npy --map_ks 0": "error: --map_ks: 0 must be at least 1.",
    "q.npy q-labels.npy --map_ks 30": "each of --map_ks must be an integer from 1 to",
    "q.npy q-labels.npy --seed -1": "error: --seed: -1 must be at least 0.",
    "q.npy q-labels.npy --resamples -1": "--resamples: -1 must be at least 0.",
    "q.npy q-labels.npy --metric taxicab": "--metric: unknown 'taxicab'; choose from",
    "q.npy q-labels.npy --images flat.npy": "'flat.npy': images must be uint8 [n, side",
    "q.npy q-labels.npy --images g-images.npy": "holds 20 images for 30 labels",
    "q.npy q-labels.npy --class_names no.txt": "--class_names: cannot read 'no.txt'",
    "q.npy q-labels.npy --out q.npy": "--out: cannot write 'q.npy': Not a directory",
    "q.npy no.npy": "cannot read 'no.npy': No such file",
    "q.npy several.npz": "'several.npz' is no .npy file of numbers",
    "q.npy objects.npy": "'objects.npy' is no .npy file of numbers",
    "q.npy text.npy": "'text.npy' is no .npy file of numbers",
    "q.npy empty.npy": "'empty.npy' is no .npy file of numbers",
    "nowhere": "cannot read 'nowhere/config.json': No such file",
    "run": "cannot read 'run/config.json': No such file",
    "other": "'other/config.json' is not the configuration of a run",
    "": "the following arguments are required",
    "q.npy q-labels.npy --margin 1": "error: --margin: unknown argument; see --help.",
    "q.npy q-labels.npy --dataroot x": "--dataroot: is for the folder of a run",
    "run --metric cosine": "--metric: is for files; a run has its own settings",
    "q.npy q-labels.npy --gallery_images no.npy": "with a gallery pass both",
    "q.npy q-labels.npy g.npy g-labels.npy --images q-images.npy": "--gallery_images",
    "q.npy q-labels.npy --groups floats.npy": "groups must be integer [30], one for",
    "q.npy q-labels.npy --groups g-labels.npy": "must be integer [30], one for each",
    "q.npy q-labels.npy --groups no.npy": "cannot read 'no.npy': No such file",
    "q.npy q-labels.npy --groups q-labels.npy": "no query has another item",
    "q.npy q-labels.npy --gallery_groups g-labels.npy": "--groups and --gallery_groups",
    "q.npy q-labels.npy g.npy g-labels.npy --groups q-labels.npy": "pass both",
    "run --groups 1": "--groups: is for files; a run has its own settings",
    "q.npy zip.npy": "'zip.npy' is no .npy file of numbers",
    "q.npy q-labels.npy --seed 4294967296": "--seed: 4294967296 must be at most 2147",
}


@pytest.mark.usefixtures("any_arguments")
@pytest.mark.parametrize("arguments", MISTAKES)
def test_a_mistake_in_an_evaluation_is_one_line_and_writes_nothing(
    files, capsys, arguments
):
    before = {path: path.stat().st_mtime_ns for path in files.rglob("*")}
    assert main([*QUICK * ("npy" in arguments), *arguments.split()]) == 2
    out, err = capsys.readouterr()
    *progress, line = err.splitlines()
    assert set(progress) <= {"evaluating"} | {p for p in progress if "report" in p}
    assert line.startswith("python -m jml.evaluation: error: ")
    assert MISTAKES[arguments] in line
    assert out == ""
    assert {path: path.stat().st_mtime_ns for path in files.rglob("*")} == before


@pytest.mark.slow
def test_images_of_two_sizes_and_huge_embeddings_are_evaluated(files):
    np.save("q.npy", np.load("q.npy").astype(np.float64) * 1e200)
    np.save("g.npy", np.load("g.npy").astype(np.float64) * 1e200)
    large = np.repeat(np.repeat(np.load("q-images.npy"), 2, axis=1), 2, axis=2)
    np.save("q-images.npy", large)
    pair = ["q.npy", "q-labels.npy", "g.npy", "g-labels.npy"]
    images = ["--images=q-images.npy", "--gallery_images=g-images.npy"]
    assert main([*pair, *images, *QUICK]) == 0
    assert data_of(files / "report.html")["metrics"][0][1] > 0.5


def test_only_files_name_the_flag_of_a_folder_that_is_full(files, capsys, monkeypatch):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("jml.app._evaluate_run.evaluate_run", full)
    assert main(["run"]) == 2
    error = "cannot write 'run': No space left on device; free space there"
    assert f": error: {error}, and try again.\n" in capsys.readouterr().err
    monkeypatch.setattr("jml.app._evaluate_files.evaluate_files", full)
    assert main(["q.npy", "q-labels.npy", "--out=there"]) == 2
    error = error.replace("run", "there")
    line = f": error: --out: {error}, or choose another place.\n"
    assert line in capsys.readouterr().err


@pytest.mark.usefixtures("without_plots")
def test_files_whose_names_begin_with_dashes_are_evaluated(files, capsys):
    names = ["--my-emb.npy", "--my-lab.npy"]
    for name, earlier in zip(names, ("q.npy", "q-labels.npy"), strict=True):
        (files / earlier).rename(name)
    assert main([*QUICK, "--", *names]) == 0
    command = data_of(files / "report.html")["reproduce"][0][1]
    assert command.endswith("--overwrite -- --my-emb.npy --my-lab.npy")


def test_a_report_that_cannot_be_drawn_costs_no_metrics_and_no_earlier_image(
    files, capsys, monkeypatch
):
    assert main(["q.npy", "q-labels.npy", *QUICK]) == 0
    before = {path: path.read_bytes() for path in files.glob("report*/**/*.png")}
    capsys.readouterr()

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("jml.report._report.save_plots", full)
    assert main(["q.npy", "q-labels.npy", *QUICK, "--seed=5", "--overwrite"]) == 1
    out, err = capsys.readouterr()
    assert out.startswith("30 queries\nrecall@1") and "written" not in out
    assert err.endswith("error: report: No space left on device\n")
    assert len(before) == 5
    assert all(path.read_bytes() == old for path, old in before.items())
    assert not list(files.glob(".unfinished*"))
