"""The loop on a toy: it learns, keeps the best, and goes on exactly where it was broken off."""

import math
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from hemaview.adaptation.datasets import DataError
from hemaview.adaptation.learning.checkpoint import read_checkpoint
from hemaview.adaptation.learning.loop import Plan, rate_factor
from hemaview.errors import ExportError

TOY = Path(__file__).with_name("toy_run.py")
PLAN = Plan(0.02, steps=30, batch=8, check_every=5, patience=1000)


def _same(first, second, tolerance=0.0):
    assert first.keys() == second.keys()
    return all(torch.allclose(first[name], second[name], rtol=0, atol=tolerance) for name in first)


def _environment(**more):
    return {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", **more}


def test_it_learns_and_keeps_the_best(toy, tmp_path):
    reports = []
    plan = Plan(0.1, steps=60, warm_up=5, batch=8, check_every=10, patience=1000)
    student, loop = toy.toy_loop(tmp_path, plan, "full", report=reports.append)
    progress = loop.run()
    assert [now.step for now in reports] == list(range(1, 61))
    assert progress.ended == "planned"
    assert progress.best_dice > progress.first_dice + 0.1
    pool = toy.toy_pool(2, 12)
    kept = toy.ToyTrainee().dice(student.net, pool.batch(range(12))).mean()
    assert float(kept) == pytest.approx(progress.best_dice, abs=1e-6)
    assert [int(row[0]) for row in progress.rows] == list(range(0, 61, 10))
    assert all(math.isfinite(row[-1]) for row in progress.rows)


def test_it_stops_early_and_never_keeps_what_is_worse_than_the_start(toy, tmp_path):
    plan = Plan(5.0, steps=500, batch=8, check_every=2, patience=3)
    student, loop = toy.toy_loop(tmp_path, plan)
    start = student.state()
    progress = loop.run()
    assert progress.ended == "early"
    assert progress.step < 100
    if progress.best_step == 0:
        assert _same(student.state(), start)
    assert progress.best_dice >= progress.first_dice


def test_a_stopped_run_goes_on_to_the_same_end(toy, tmp_path):
    for name in ("whole", "broken"):
        (tmp_path / name).mkdir()
    student, loop = toy.toy_loop(tmp_path / "whole", PLAN)
    whole = loop.run()
    asked = []
    _, broken = toy.toy_loop(tmp_path / "broken", PLAN, stop=lambda: len(asked) > 12 or bool(asked.append(1)))
    assert broken.run().ended == "stopped"
    assert broken.progress.step == 13
    again, resumed = toy.toy_loop(tmp_path / "broken", PLAN)
    ended = resumed.run()
    assert ended.step == whole.step
    assert [row[3:] for row in ended.rows[4:]] == [row[3:] for row in whole.rows[4:]]
    assert _same(again.state(), student.state())
    # A finished run is not run again.
    _, finished = toy.toy_loop(tmp_path / "broken", PLAN, report=lambda now: pytest.fail("ran again"))
    assert finished.run().step == whole.step


def test_a_run_with_minutes_ends_by_the_clock(toy, tmp_path):
    _, loop = toy.toy_loop(tmp_path, Plan(0.02, steps=None, minutes=0.01, batch=8, check_every=5))
    progress = loop.run()
    # On a quick computer it stops improving, and so stops early, before its time is up.
    assert progress.ended == ("planned" if progress.minutes >= 0.01 else "early")


def test_the_state_of_another_run_and_a_damaged_one_are_refused(toy, tmp_path):
    toy.toy_loop(tmp_path, Plan(0.02, steps=2, batch=4))[1].run()
    with pytest.raises(DataError, match="other settings"):
        toy.toy_loop(tmp_path, PLAN, digest="another")[1].run()
    (tmp_path / "state.pt").write_bytes((tmp_path / "state.pt").read_bytes()[:200])
    with pytest.raises(DataError, match="cannot be read"):
        toy.toy_loop(tmp_path, PLAN)[1].run()


def test_a_folder_that_cannot_be_written_to_is_one_sentence(toy, tmp_path):
    (tmp_path / "state.pt").mkdir()
    with pytest.raises((ExportError, DataError)) as refused:
        toy.toy_loop(tmp_path, PLAN)[1].run()
    assert str(refused.value).count(".") >= 1
    assert "\n" not in str(refused.value)
    with pytest.raises(ExportError, match="does not exist"):
        toy.toy_loop(tmp_path / "gone", PLAN)[1].run()


def test_the_rate_rises_then_falls():
    assert rate_factor(0, 0.0, 10) == pytest.approx(0.1)
    assert rate_factor(9, 0.0, 10) == pytest.approx(1.0)
    assert rate_factor(100, 0.5, 10) == pytest.approx(0.51)
    assert rate_factor(100, 1.0, 10) == pytest.approx(0.02)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_killed_process_is_taken_up_to_the_same_end(tmp_path):
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    command = [sys.executable, str(TOY)]
    subprocess.run([*command, str(tmp_path / "whole"), "20"], check=True, env=_environment(), capture_output=True)
    with subprocess.Popen(
        [*command, str(tmp_path / "killed"), "20", "--pause", "0.05"], env=_environment(), stdout=subprocess.PIPE
    ) as process:
        for line in process.stdout:
            if int(line) == 13:
                process.send_signal(signal.SIGKILL)
                break
        assert process.wait() == -signal.SIGKILL
    left = read_checkpoint(tmp_path / "killed" / "state.pt", "toy")
    assert left.progress.step == 10
    again = subprocess.run(
        [*command, str(tmp_path / "killed"), "20"], check=True, env=_environment(), capture_output=True
    )
    assert [int(line) for line in again.stdout.split()] == list(range(11, 21))
    ends = [torch.load(tmp_path / name / "final-0-of-1.pt", weights_only=True) for name in ("whole", "killed")]
    assert _same(*ends)


@pytest.mark.slow
def test_two_processes_learn_what_one_does(tmp_path):
    """Both end with the same weights; their gradient of the first step is that of one process on the whole batch."""
    for name in ("one", "two", "first-one", "first-two"):
        (tmp_path / name).mkdir()
    for steps, one, two, more in (("20", "one", "two", []), ("1", "first-one", "first-two", ["--full"])):
        alone = [sys.executable, str(TOY), str(tmp_path / one), steps, *more]
        subprocess.run(alone, check=True, env=_environment(), capture_output=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        together = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(port)]
        together += [str(TOY), str(tmp_path / two), steps, *more]
        subprocess.run(together, check=True, env=_environment(), capture_output=True, timeout=600)
    ends = [torch.load(tmp_path / "two" / f"final-{rank}-of-2.pt", weights_only=True) for rank in (0, 1)]
    assert _same(*ends)
    alone = torch.load(tmp_path / "one" / "final-0-of-1.pt", weights_only=True)
    assert _same(ends[0], alone, 1e-5)
    moments = [
        read_checkpoint(tmp_path / name / "state.pt", "toy").optimiser["state"] for name in ("first-one", "first-two")
    ]
    for number, entry in moments[0].items():
        # After one step from zero the first moment is a tenth of the gradient.
        assert float(entry["exp_avg"].abs().max()) > 0
        assert torch.allclose(entry["exp_avg"], moments[1][number]["exp_avg"], rtol=1e-4, atol=1e-8)
