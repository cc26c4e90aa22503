"""The command learns with a whole ResNet-18; other tests have a shorter network."""

import pytest

from tests.app.runs import SMALL_RUN, check_learning, records_of


@pytest.mark.slow
@pytest.mark.usefixtures("without_reports")
def test_a_run_with_resnet18_learns(images, main, tmp_path):
    arguments = [*SMALL_RUN, f"--dataroot={images}", f"--checkpoints_path={tmp_path}"]
    length = ["--maxiter=120", "--decay_iter_step=90", "--eval_interval=60"]
    assert main([*arguments, *length, "--lr=1e-3", "--name=a"]) == 0
    check_learning(records_of(tmp_path / "a"))
