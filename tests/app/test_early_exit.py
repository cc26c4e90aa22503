"""Ctrl-C before a command has loaded: one line and exit code 130, wherever it comes."""

import gc
import os
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path

import pytest

import jml
from jml.app import _early_exit

ROOT = Path(jml.__file__).parent.parent
# Python imports this at its start. A signal comes where the module named is looked
# for, and what its handler raises is lost, as in a callback.
SITECUSTOMIZE = """\
import os, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["INTERRUPT_AT"]:
            sys.meta_path.remove(self)
            try:
                os.kill(os.getpid(), int(os.environ["SIGNAL"]))
            except BaseException:
                pass

sys.meta_path.insert(0, Finder())
"""
NOWHERE = ("--dataroot=nowhere",)
TRAIN = ("-m", "jml", "train", *NOWHERE), "jml train"
SCRIPT = ("train_jax.py", *NOWHERE), "train_jax.py"
EVALUATE = ("-m", "jml", "evaluate", "no.npy", "no.npy"), "jml evaluate"
EVALUATION = ("-m", "jml.evaluation", "no.npy", "no.npy"), "python -m jml.evaluation"
EXPORT = ("-m", "jml.export", "no", "--to=safetensors"), "python -m jml.export"


def interrupted(words, module, folder, number=signal.SIGINT):
    (folder / "sitecustomize.py").write_text(SITECUSTOMIZE)
    env = os.environ | {
        "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}",
        "INTERRUPT_AT": module,
        "SIGNAL": str(int(number)),
    }
    command = [sys.executable, *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=env)


@pytest.mark.parametrize(
    ("entry", "module"),
    [
        pytest.param(entry, module, id=f"{entry[1]} at {module}")
        for entry, modules in (
            (TRAIN, ("jml.app._parser", "jax", "flax.core", "tqdm")),
            (SCRIPT, ("jml.app._command", "jml.app._config", "numpy")),
            (EVALUATE, ("jml.app._evaluate", "numpy", "jaxlib")),
            (EVALUATION, ("jml.app._command", "jax", "jml.evaluation._evaluate")),
            (EXPORT, ("jml.app._command", "numpy", "safetensors")),
        )
        for module in modules
    ],
)
def test_a_signal_while_a_command_loads_is_one_line(entry, module, tmp_path):
    words, program = entry
    done = interrupted(words, module, tmp_path)
    known = {program, program.removesuffix(" train").removesuffix(" evaluate")}
    assert done.stderr in {f"{name}: interrupted.\n" for name in known}
    assert (done.returncode, done.stdout) == (130, "")


def test_sigterm_while_a_command_loads_is_one_line(tmp_path):
    done = interrupted(EVALUATE[0], "numpy", tmp_path, signal.SIGTERM)
    assert (done.returncode, done.stderr) == (143, "jml evaluate: interrupted.\n")


def test_a_process_that_jml_does_not_own_keeps_its_handlers():
    before = [signal.getsignal(number) for number in _early_exit.SIGNALS]
    with _early_exit.loading():
        assert before == [signal.getsignal(number) for number in _early_exit.SIGNALS]
    with _early_exit.raising("it", lambda number, frame: 1 / 0):
        assert signal.getsignal(signal.SIGINT) == before[0]
        with pytest.raises(ZeroDivisionError):
            signal.raise_signal(signal.SIGTERM)
    assert before == [signal.getsignal(number) for number in _early_exit.SIGNALS]


def in_garbage_collector(act):
    def callback(phase, facts):
        gc.callbacks.remove(callback)
        act()

    gc.callbacks.append(callback)
    gc.collect()


def in_weak_reference(act):
    class Target:
        pass

    target = Target()
    reference = weakref.ref(target, lambda _: act())
    del target  # which calls it
    assert reference() is None


@pytest.mark.parametrize("call", [in_garbage_collector, in_weak_reference])
def test_ctrl_c_is_not_lost_in_a_callback(call, monkeypatch):
    monkeypatch.setattr(_early_exit, "_program", "jml")
    hook, called = sys.unraisablehook, []

    def interrupt():
        called.append(call)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt), _early_exit.raising("jml x", print):
        call(interrupt)
        called.append("after")
        time.sleep(10)
    assert called == [call, "after"]
    assert sys.unraisablehook is hook


def test_other_errors_in_a_callback_are_reported(monkeypatch):
    reported = []
    monkeypatch.setattr(sys, "unraisablehook", reported.append)
    with _early_exit.raising("jml x", print):
        in_weak_reference(lambda: 1 / 0)
    assert [each.exc_type for each in reported] == [ZeroDivisionError]


def test_after_a_command_messages_name_the_program_around_it(monkeypatch):
    monkeypatch.setattr(_early_exit, "_program", "outer")
    with (
        pytest.raises(ValueError, match="broken"),
        _early_exit.raising("inner", signal.getsignal(signal.SIGTERM)),
    ):
        assert _early_exit._program == "inner"
        raise ValueError("broken")
    assert _early_exit._program == "outer"
