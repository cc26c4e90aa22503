"""Programs are compiled in threads, once, and a run says for what it waits."""

import subprocess
import sys
import time
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jml.app import _compile_ahead, _inputs
from jml.app._compile_ahead import Ahead
from jml.app._compile_evaluation import known_facts
from jml.app._config import Config
from jml.app._evaluate import main as evaluate
from jml.app._inputs import list_images
from tests import compilation
from tests.app.runs import SMALL_RUN


@pytest.fixture
def compiled():
    """The names of the programs that XLA compiles or reads, in order."""
    with compilation.programs() as names:
        yield names


@pytest.fixture
def begun(monkeypatch):
    """What commands begin to compile, in order, and when they begin to decode."""
    names, begin, decode = [], Ahead.begin, _inputs.decode

    def begin_noted(ahead, what, compile_it):
        names.append(what)
        begin(ahead, what, compile_it)

    def decode_noted(*arguments, **options):
        names.append("decoding")
        return decode(*arguments, **options)

    monkeypatch.setattr(Ahead, "begin", begin_noted)
    monkeypatch.setattr(_inputs, "decode", decode_noted)
    return names


def test_a_program_compiled_ahead_is_not_compiled_again(compiled):
    @jax.jit
    def double(x):
        return 2 * x

    ahead, kind = Ahead(lambda line: None), jax.ShapeDtypeStruct((3,), np.float32)
    ahead.begin("it", lambda: double.lower(kind).compile())
    waiting = ahead.before("it", double)
    x = jnp.asarray(np.ones(3, np.float32))
    compiled_before = len(compiled)
    assert [waiting(x).tolist() for _ in range(2)] == [[2, 2, 2]] * 2
    assert compiled.count("double") == 1
    assert len(compiled) - compiled_before <= 1


def test_what_fails_ahead_fails_again_when_it_is_called():
    @jax.jit
    def fails(x):
        raise ValueError("not so")

    ahead = Ahead(lambda line: None)
    ahead.begin("it", lambda: fails.lower(1.0).compile())
    with pytest.raises(ValueError, match="not so"):
        ahead.before("it", fails)(1.0)


def test_a_long_wait_is_told_once(monkeypatch):
    monkeypatch.setattr(_compile_ahead, "LONG", 0)
    lines = []
    ahead = Ahead(lines.append)
    ahead.begin("the step", lambda: time.sleep(2.5))  # the wait looks each second
    assert ahead.before("the step", lambda: 5)() == 5
    assert lines == ["compiling the step ..."]


def test_a_command_that_failed_does_not_wait_for_the_compiler():
    work = (
        "import threading, time; from jml.app._command import COMPILES, leave;"
        "threading.Thread(target=time.sleep, args=(60,), name=COMPILES).start();"
        "leave(2)"
    )
    began = time.monotonic()
    assert subprocess.run([sys.executable, "-c", work], check=False).returncode == 2
    assert time.monotonic() - began < 30


def test_a_command_that_succeeded_waits_for_the_compiler(tmp_path):
    """Python must not end below a thread in which XLA runs."""
    work = (
        "import sys, time; from pathlib import Path;"
        "from jml.app._command import leave;"
        "from jml.app._compile_ahead import Ahead;"
        "Ahead(print).begin('it', lambda: (time.sleep(1), Path('done').touch()));"
        "leave(0)"
    )
    subprocess.run([sys.executable, "-c", work], check=True, cwd=tmp_path)
    assert (tmp_path / "done").exists()


@pytest.mark.usefixtures("short_network", "without_reports")
def test_a_run_and_its_evaluation_compile_step_and_network_once(
    main, images, tmp_path, compiled, capsys, begun
):
    flags = [f"--dataroot={images}", f"--checkpoints_path={tmp_path}", "--name=a"]
    # An evaluation between two steps would make the trace of them ten times as large.
    flags += ["--maxiter=3", "--eval_interval=3", "--profile=2:3"]
    assert main([*SMALL_RUN, *flags]) == 0
    assert compiled.count("step") == 1
    assert compiled.count("embed_batch") == 1
    # The profile of the second and the third step.
    (trace,) = (tmp_path / "a" / "profile").rglob("perfetto_trace.json.gz")
    assert trace.stat().st_size > 1000
    assert "a trace to step 3 is in" in capsys.readouterr().err
    again = ["--resume", "--maxiter=4", "--profile=1:2"]
    assert main([*SMALL_RUN, *flags[:3], *again]) == 0
    assert "steps 1:2 are over" in capsys.readouterr().err
    assert compiled.count("step") == compiled.count("embed_batch") == 2
    begun.clear()
    assert evaluate([str(tmp_path / "a"), "--no_compile_cache"]) == 0
    assert compiled.count("embed_batch") == 3
    assert begun == ["the network", "the ranking", "decoding"]


def test_images_that_may_be_left_out_are_ranked_once_they_are_decoded(images):
    config = Config(dataset="folder", dataroot=str(images), image_size=16)
    listing = list_images(config)
    query, gallery = known_facts(config, listing)
    assert (len(query.labels), gallery) == (len(listing.query), None)
    assert known_facts(replace(config, on_bad_image="skip"), listing) is None
    assert known_facts(config, None) is None


@pytest.mark.parametrize("steps", ["5", "5:", "a:b", "0:2", "4:3", "1:9999"])
def test_steps_that_cannot_be_profiled_are_refused(steps, main, tmp_path, capsys):
    flags = [f"--profile={steps}", "--maxiter=20", f"--checkpoints_path={tmp_path}"]
    assert main(flags) == 2
    err = capsys.readouterr().err
    assert err.startswith("train_jax.py: error: --profile: ") and err.count("\n") == 1
