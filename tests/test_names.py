"""Names are bytes: passed on exactly, and shown to people on any terminal."""

import ast
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

import jml
from jml._attempts import Attempts
from jml._names import name_bytes, quoted, shell_line, shown, utf8_path
from jml._output import write_err, write_out
from jml.errors import Interrupted, UserError

LATIN, GBK = b"caf\xe9", "中文".encode("gbk")
NAMES = [LATIN, b"caf\xe8", GBK, "鶴".encode(), b"it's $HOME \\x41\t", b"\xe9a\x80"]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_name_keeps_its_bytes_and_can_be_printed(name):
    kept = os.fsdecode(name)
    assert name_bytes(kept) == name
    assert shown(kept) == name.decode("utf-8", "replace")
    shown(kept).encode()


def test_half_a_surrogate_pair_is_a_file_name():
    assert name_bytes("\ud83d") != name_bytes("\ud83c")
    assert "\ufffd" in shown("\ud83d")


def test_a_shell_reads_the_names_that_were_written():
    words = [*map(os.fsdecode, NAMES), "", "plain"]
    command = f"printf '%s\\0' {shell_line(words)}"
    assert command.isprintable() or "\t" in command
    command.encode()
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=True)
    assert done.stdout.split(b"\0")[:-1] == [*NAMES, b"", b"plain"]


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs Linux's /proc")
def test_a_path_in_utf8_leads_to_any_file(tmp_path):
    folder = tmp_path / os.fsdecode(GBK) / "runs" / os.fsdecode(LATIN) / "plain"
    with utf8_path(folder) as way:
        str(way).encode()
        assert way.name == "plain"  # Orbax has its processes agree on this
        way.mkdir()
        (folder / "file").write_text("here")
        read = subprocess.run(["cat", way / "file"], capture_output=True, text=True)
        assert read.stdout == "here"
    assert not way.exists()
    with utf8_path(tmp_path / "plain") as way:
        assert way == tmp_path / "plain" and not way.exists()


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("ascii", rb"caf\ufffd \u9db4"),
        ("latin-1", rb"caf\ufffd \u9db4"),
        ("utf-8", "caf\ufffd 鶴".encode()),
    ],
)
def test_any_output_stream_takes_any_file_name(monkeypatch, encoding, expected):
    for name, write in (("stdout", write_out), ("stderr", write_err)):
        stream = io.TextIOWrapper(io.BytesIO(), encoding)
        monkeypatch.setattr(sys, name, stream)
        write(os.fsdecode(LATIN + " 鶴".encode()))
        assert stream.buffer.getvalue().strip() == expected


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_output_that_cannot_be_written_ends_the_command():
    program = (
        "import io, sys\n"
        "from jml._output import write_err, write_out\n"
        "from jml.app._command import exit_code, leave\n"
        "kept, full = sys.stderr, open('/dev/full', 'wb', 0)\n"
        "sys.stderr = io.TextIOWrapper(full, write_through=True)\n"
        "write_err('lost')\n"
        "sys.stderr = kept\n"
        "leave(exit_code('it', lambda: write_out('lost')))\n"
    )
    command = [sys.executable, "-c", program]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert done.stderr == (
        "it: error: standard output cannot be written: No space left on device.\n"
    )


def test_a_failing_attempt_is_reported_once_and_taken_off_when_it_succeeds():
    lines: list[str] = []
    attempts = Attempts(lines.append)
    for reason in ("full", "full", "broken", None):
        with attempts.at("plot.png"):
            if reason is not None:
                raise UserError(reason + ".")
    assert lines == ["plot.png: full", "plot.png: broken"]
    assert attempts.problems == {}
    for error in (KeyboardInterrupt, Interrupted(15)):
        with pytest.raises(KeyboardInterrupt), attempts.at("plot.png"):
            raise error
    with attempts.at("all"):
        inner = Attempts()
        with inner.at("one"):
            raise FileExistsError(17, "File exists", "from", None, "to")
        inner.check()
    assert attempts.problems == {"one": "'to': File exists"}


def test_all_output_goes_to_streams_that_take_any_file_name():
    root = Path(jml.__file__).parent
    for path in sorted(root.rglob("*.py")):
        calls = [
            node.func.id
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        ]
        assert "print" not in calls or path.name == "_output.py", path


@pytest.mark.parametrize("name", NAMES)
def test_a_quoted_name_is_shown_as_any_other(name, capsys):
    kept = os.fsdecode(name)
    write_err(f"no such file: {quoted(kept)} {quoted(Path(kept))}")
    shown_name = shown(kept)
    expected = repr(shown_name)
    assert capsys.readouterr().err == f"no such file: {expected} {expected}\n"


@pytest.mark.parametrize("text", [r"written: C:\data\udead\report.html", r"C:\udce9"])
def test_a_backslash_of_the_user_s_own_stays(text, capsys):
    write_out(text)
    write_out(quoted(text))
    assert capsys.readouterr().out == f"{text}\n{text!r}\n"


def test_an_error_about_a_file_shows_its_name(tmp_path, monkeypatch, capsys):
    from jml.app._console import main

    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", "caf\udce9"]) == 2
    line = "jml evaluate: error: cannot read 'caf\ufffd/config.json': No such file or"
    assert capsys.readouterr().err.startswith(line)
    assert main(["train", "--loss=caf\udce9"]) == 2
    assert "--loss: unknown 'caf\ufffd'; choose" in capsys.readouterr().err
