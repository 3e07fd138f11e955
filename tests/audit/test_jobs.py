"""Workers, with a stand-in for the audit that writes the same files and obeys the same signals."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from trust_core.audit import jobs
from trust_core.audit.jobs import DONE, FAILED, RUNNING, STOPPED
from trust_core.errors import StoreError
from trust_core.storage import queue

STAND_IN = """
import json, os, pathlib, signal, sys, time
mode, out = sys.argv[1], pathlib.Path(sys.argv[2])

def stop(*_):
    print("Stopped. The same command goes on where this one ended.", file=sys.stderr)
    sys.exit(130)

signal.signal(signal.SIGTERM, signal.SIG_IGN if mode == "deaf" else stop)
out.mkdir(parents=True, exist_ok=True)
if mode == "bad":
    sys.exit("model.pth is empty (0 bytes).")
if mode == "crash":
    raise RuntimeError("a fault")
manifest = {"schema_version": 1, "status": "running"}
(out / "manifest.json").write_text(json.dumps(manifest))
(out / "environment.json").write_text(json.dumps(dict(os.environ)))
progress = dict(done=3, total=9, seconds=1.5, rate=2.0, seconds_left=3.0, pid=os.getpid())
(out / "progress.json").write_text(json.dumps(progress))
print("3 of 9 images, 2.0 a second, 3 s left", file=sys.stderr, flush=True)
go = out.parent / "go"
while mode in ("run", "deaf") and not go.exists():
    time.sleep(0.01)
(out / "progress.json").unlink()
(out / "manifest.json").write_text(json.dumps(manifest | {"status": "finished"}))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TRUST_CORE_WORKSPACE", str(tmp_path))
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN)
    monkeypatch.setattr(jobs, "PROGRAM", (sys.executable, str(script)))
    folder = tmp_path / "an-audit"
    yield folder
    jobs.cancel(folder, patience=1)


def wait_for(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.01)


def started(folder, mode="run"):
    job = jobs.start([mode, str(folder)], folder)
    wait_for(lambda: (folder / "progress.json").exists() and jobs.state(folder).total)
    return job


def test_a_run_from_start_to_end(folder):
    job = started(folder)
    state = jobs.state(folder)
    assert (state.phase, state.done, state.total) == (RUNNING, 3, 9)
    assert (state.rate, state.seconds_left) == (2.0, 3.0)
    assert jobs.read_job(folder) == job
    assert [found.folder for found in jobs.unfinished_jobs()] == [folder]
    assert os.getpgid(job.pid) == job.pid != os.getpgid(0)
    environment = json.loads((folder / "environment.json").read_text())
    assert jobs.ENVIRONMENT.items() <= environment.items()
    (folder.parent / "go").touch()
    wait_for(lambda: jobs.state(folder).phase != RUNNING)
    assert jobs.state(folder).phase == DONE
    assert jobs.unfinished_jobs() == []


def test_nothing_lies_in_the_audit_folder_before_the_worker_makes_it(folder):
    folder.mkdir()
    jobs.start(["bad", str(folder)], folder)
    wait_for(lambda: jobs.state(folder).phase != RUNNING)
    assert list(folder.iterdir()) == []


def test_stop_and_resume(folder):
    first = started(folder)
    jobs.cancel(folder)
    state = jobs.state(folder)
    assert (state.phase, state.done, state.total) == (STOPPED, 3, 9)
    assert "Resume" in state.sentence
    again = jobs.resume(folder)
    assert again.arguments == first.arguments
    assert again.pid != first.pid
    wait_for(lambda: jobs.state(folder).rate)
    assert jobs.state(folder).phase == RUNNING


def test_resume_starts_the_program_that_was_started(folder, tmp_path):
    other = tmp_path / "other.py"
    other.write_text(STAND_IN)
    program = (sys.executable, str(other))
    first = jobs.start(["run", str(folder)], folder, program)
    wait_for(lambda: jobs.state(folder).rate)
    jobs.cancel(folder)
    again = jobs.resume(folder)
    wait_for(lambda: jobs.state(folder).rate)
    assert again.program == first.program == program


def test_a_record_of_an_earlier_version_names_no_program(folder):
    started(folder)
    jobs.cancel(folder)
    record = folder.parent / "jobs" / "an-audit.json"
    content = json.loads(record.read_text())
    del content["program"]
    record.write_text(json.dumps(content))
    assert jobs.resume(folder).program == ()
    wait_for(lambda: jobs.state(folder).rate)


def test_a_worker_that_does_not_listen_is_killed(folder):
    started(folder, "deaf")
    jobs.cancel(folder, patience=0.2)
    state = jobs.state(folder)
    assert state.phase == STOPPED
    assert "without a word" in state.sentence


def test_bad_input_gives_its_sentence(folder):
    jobs.start(["bad", str(folder)], folder)
    wait_for(lambda: jobs.state(folder).phase != RUNNING)
    state = jobs.state(folder)
    assert (state.phase, state.sentence) == (FAILED, "model.pth is empty (0 bytes).")


def test_a_fault_of_the_program_is_named_as_one(folder):
    jobs.start(["crash", str(folder)], folder)
    wait_for(lambda: jobs.state(folder).phase != RUNNING)
    state = jobs.state(folder)
    assert state.phase == FAILED
    assert "The program itself failed: RuntimeError: a fault" in state.sentence
    assert "Traceback" in jobs.log(folder)


def test_one_worker_at_a_time(folder):
    started(folder)
    with pytest.raises(StoreError, match="computed already"):
        jobs.resume(folder)
    assert jobs.state(folder).phase == RUNNING


def test_a_worker_outlives_the_server_that_started_it(folder):
    script = jobs.PROGRAM[1]
    server = (
        "import sys, pathlib\n"
        "from trust_core.audit import jobs\n"
        f"jobs.PROGRAM = (sys.executable, {script!r})\n"
        f"jobs.start(['run', {str(folder)!r}], pathlib.Path({str(folder)!r}))\n"
    )
    subprocess.run([sys.executable, "-c", server], check=True)
    wait_for(lambda: jobs.state(folder).rate)
    assert jobs.state(folder).phase == RUNNING
    jobs.cancel(folder)
    assert jobs.state(folder).phase == STOPPED
    jobs.resume(folder)
    assert jobs.state(folder).phase == RUNNING


def test_a_recycled_process_number_is_not_taken_for_ours(folder):
    job = started(folder)
    os.killpg(job.pid, signal.SIGKILL)
    wait_for(lambda: jobs.state(folder).phase != RUNNING)
    stranger = subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True
    )
    record = folder.parent / "jobs" / "an-audit.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"pid": stranger.pid}))
    try:
        assert jobs.state(folder).phase == STOPPED
        jobs.cancel(folder)
        assert stranger.poll() is None
    finally:
        stranger.communicate(b"\n")


def test_numbers_of_an_earlier_run_are_not_shown_as_the_rate(folder):
    started(folder)
    progress = json.loads((folder / "progress.json").read_text())
    (folder / "progress.json").write_text(json.dumps(progress | {"pid": 1}))
    state = jobs.state(folder)
    assert (state.phase, state.done, state.rate, state.seconds_left) == (RUNNING, 3, 0.0, None)


def test_a_folder_without_a_known_command_cannot_be_resumed(folder):
    with pytest.raises(StoreError, match="not known how"):
        jobs.resume(folder)
    assert jobs.state(folder).phase == STOPPED
    jobs.cancel(folder)


def test_a_workspace_that_cannot_be_written_is_said(folder):
    (folder.parent / "jobs").write_text("a file where the folder should be")
    with pytest.raises(StoreError, match="cannot be started"):
        jobs.start(["run", str(folder)], folder)


@pytest.fixture
def one_worker(folder, monkeypatch):
    """One job computes at a time, and all count as long ones."""
    monkeypatch.setenv(queue.WORKERS_VARIABLE, "1")
    monkeypatch.setattr(jobs, "LONG_JOBS", ("run",))
    return folder


def test_a_job_waits_for_its_turn_and_begins_by_itself(one_worker):
    first, second, third = (one_worker.with_name(name) for name in ("first", "second", "third"))
    started(first)
    for later in (second, third):
        jobs.start(["run", str(later)], later)
    assert [jobs.state(f).ahead for f in (first, second, third)] == [0, 1, 2]
    assert [jobs.state(f).phase for f in (second, third)] == [RUNNING, RUNNING]
    jobs.cancel(second)
    assert jobs.state(second).phase == STOPPED
    assert not second.exists()
    waiting = jobs.read_job(third)
    jobs.cancel(first)
    wait_for(lambda: jobs.state(third).total)  # nobody had to start it
    assert jobs.state(third).ahead == 0
    assert jobs.state(third).rate  # the process that waited is the one that computes
    assert waiting.pid == jobs.read_job(third).pid
    (one_worker.parent / "go").touch()
    wait_for(lambda: jobs.state(third).phase == DONE)


def test_the_same_audit_under_another_name_is_joined(one_worker, monkeypatch):
    monkeypatch.setattr(jobs, "_task", lambda words: words[0])
    job = started(one_worker)
    other = one_worker.with_name("other")
    assert jobs.start(["run", str(other)], other) == job
    assert jobs.read_job(other) is None
    assert jobs.state(one_worker).phase == RUNNING


def test_what_is_the_same_audit():
    words = ["audit", "model.pt", "data", "--size=64x64", "--out=a", "--json"]
    moved = ["audit", "model.pt", "data", "--json", "--size=64x64", "--out=b"]
    assert jobs._task(words) == jobs._task(moved) != ""
    assert jobs._task([*words, "--good=x"]) != jobs._task(words)
    assert jobs._task(["train", "data", "--out=a"]) == ""


def test_after_a_restart_of_the_machine_all_goes_on_but_what_was_stopped(one_worker):
    names = ("computing", "waiting", "stopped")
    computing, waiting, stopped = (one_worker.with_name(name) for name in names)
    started(computing)
    for later in (waiting, stopped):
        jobs.start(["run", str(later)], later)
    jobs.cancel(stopped)
    bad = one_worker.with_name("bad")
    jobs.start(["bad", str(bad)], bad)  # of the other line; it fails at once
    wait_for(lambda: jobs.state(bad).phase == FAILED)
    for folder in (computing, waiting):
        os.killpg(jobs.read_job(folder).pid, signal.SIGKILL)
        wait_for(lambda folder=folder: jobs.state(folder).phase == STOPPED)
    assert [job.folder for job in jobs.resume_interrupted()] == [computing, waiting]
    assert jobs.resume_interrupted() == []
    assert [jobs.state(folder).phase for folder in (computing, waiting)] == [RUNNING, RUNNING]
    assert jobs.state(waiting).ahead == 1
    for folder in (waiting, computing):
        jobs.cancel(folder)
    assert jobs.resume_interrupted() == []


def test_what_kills_its_worker_again_and_again_is_left_alone(one_worker):
    started(one_worker)
    begun = 0
    while True:
        os.killpg(jobs.read_job(one_worker).pid, signal.SIGKILL)
        wait_for(lambda: jobs.state(one_worker).phase == STOPPED)
        if not jobs.resume_interrupted():
            break
        begun += 1
        wait_for(lambda: jobs.state(one_worker).rate)
    assert begun == jobs.MOST_TRIES
