"""Jobs: commands that run as processes of their own; start, queue, state, cancel, resume.

A worker is the very command that the page shows, in its own session, so that neither a closed tab
nor a restarted server ends it. Its command (`NAME.json`) and what it prints (`NAME.log`,
`NAME.out`) lie in the folder `jobs` of the workspace; the audit folder NAME has to be empty at
first. Few compute at once, the others wait their turn (`storage/queue.py`). The worker holds the
lock `NAME.lock` from its first to its last moment: the kernel gives it back however the worker
ends, so a recycled process number is never taken for ours.
"""

import hashlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from trust_core.audit.allocator import ENVIRONMENT
from trust_core.errors import StoreError, file_errors
from trust_core.storage import queue
from trust_core.storage.atomic import read_json, write_json
from trust_core.storage.locks import is_locked, writer_lock
from trust_core.storage.manifest import FINISHED, MANIFEST, read_manifest
from trust_core.storage.progress import Progress, read_progress
from trust_core.storage.workspace import JOBS, workspace_folder

LONG_JOBS = ("audit", "demo", "train")  # the others are waited for by somebody who looks on
MOST_TRIES = 3  # that a job is begun anew of itself, or one that kills the machine would for ever
PROGRAM = (sys.executable, "-m", "trust_core")
RUNNING, DONE, STOPPED, FAILED = "running", "finished", "stopped", "failed"
STOP_SECONDS = 20.0  # that a worker gets to finish its batch before it is killed
POLL_SECONDS = 0.05
STOPPED_LINE = "Stopped."  # how the command line begins its last sentence when interrupted
PROGRESS_LINE = re.compile(r"^([\d,]+ of [\d,]+ images, |Epoch \d+ of )")
KILLED = (
    "The worker ended without a word: it was killed, or the machine was restarted or ran out of "
    "memory. Resume goes on where it ended."
)


@dataclass(frozen=True)
class Job:
    """The command of a worker, and its process.

    `arguments` follow `python -m trust_core`, unless `program` was started instead; `pid` leads a
    process group of the same number; `started` is in seconds since 1970.
    """

    folder: Path
    arguments: tuple[str, ...]
    pid: int
    started: float
    program: tuple[str, ...] = ()


@dataclass(frozen=True)
class JobState(Progress):
    """How a job stands, and how far it is.

    `phase` is `RUNNING`, `DONE`, `STOPPED` or `FAILED`, `sentence` why it stopped or failed;
    `ahead` are jobs that come before it, while it waits for its turn.
    """

    phase: str = field(kw_only=True)
    sentence: str = field(default="", kw_only=True)
    ahead: int = field(default=0, kw_only=True)


def start(
    arguments: Sequence[str], folder: Path, program: Sequence[str] = (), tries: int = 0
) -> Job:
    """Start `python -m trust_core ARGUMENTS` as a process that outlives this one.

    Where enough of its kind compute already, it waits for its turn. An audit that is being computed
    already, or waits, under whatever name, is not computed twice.

    Args:
        arguments: the job with its options, `--out FOLDER` and `--json` among them.
        folder: the audit folder; one worker at a time.
        program: what is started instead of `python -m trust_core`.
        tries: how often it was begun anew.

    Returns:
        The job; that of another folder when that one makes the very same.

    Raises:
        StoreError: a worker writes this folder already, or the workspace cannot be written.
    """
    command = [*(program or PROGRAM), *arguments]
    busy = f"{folder.name} is being computed already; wait until it ends, or stop it."
    with file_errors(f"The worker cannot be started in {folder}"):
        _file(folder, "json").parent.mkdir(parents=True, exist_ok=True)
        _queue().parent.mkdir(parents=True, exist_ok=True)
        with writer_lock(_file(folder, "lock"), busy) as lock:
            line = queue.LONG if arguments[0] in LONG_JOBS and not program else queue.SHORT
            place, held = str(folder.resolve()), str(_file(folder, "lock").resolve())
            entry = queue.enter(
                _queue(), queue.Entry(place, held, line, _task(arguments), tries=tries)
            )
            if entry.folder != place:
                same = read_job(Path(entry.folder))
                return same or Job(Path(entry.folder), tuple(arguments), 0, time.time())
            if not entry.runs:
                command = queue.waiting_command(_queue(), folder.resolve(), command)
            with _file(folder, "out").open("wb") as out, _file(folder, "log").open("wb") as log:
                process = subprocess.Popen(  # noqa: S603 - our own interpreter, a list, no shell
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=log,
                    env=os.environ | ENVIRONMENT,
                    start_new_session=True,
                    pass_fds=lock,
                )
            job = Job(folder, tuple(arguments), process.pid, time.time(), tuple(program))
            content = asdict(job)
            del content["folder"]
            write_json(_file(folder, "json"), content)
    threading.Thread(target=process.wait, daemon=True).start()  # or it would stay as a zombie
    return job


def resume(folder: Path) -> Job:
    """Start the same command again; it goes on where it ended.

    Raises:
        StoreError: no command is known for this folder, or a worker runs already.
    """
    job = read_job(folder)
    if job is None:
        raise StoreError(f"It is not known how {folder} was started; set the audit up again.")
    return start(job.arguments, folder, job.program)


def resume_interrupted() -> list[Job]:
    """Begin anew what computed or waited when the machine went down, in the order it came.

    Not what was stopped, what failed, or what was begun anew `MOST_TRIES` times already.
    """
    begun = []
    for entry in queue.entries(_queue()):
        folder = Path(entry.folder)
        job = read_job(folder)
        if entry.lives:
            continue
        ended = _file(folder, "out").exists() and _file(folder, "out").stat().st_size > 0
        killed = _ending(_file(folder, "log")) == (STOPPED, KILLED)
        queue.leave(_queue(), folder)
        if job is not None and killed and not ended and entry.tries < MOST_TRIES:
            begun.append(start(job.arguments, folder, job.program, entry.tries + 1))
    return begun


def cancel(folder: Path, patience: float = STOP_SECONDS) -> None:
    """End the worker and wait until it is gone. What it has finished stays.

    It has `patience` seconds to finish in before it is killed.
    """
    job = read_job(folder)
    queue.leave(_queue(), folder.resolve())
    if job is None or not _is_running(folder):
        return
    for sign, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, STOP_SECONDS)):
        try:
            os.killpg(job.pid, sign)
        except ProcessLookupError:
            return
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not _is_running(folder):
                return
            time.sleep(POLL_SECONDS)


def has_audit(folder: Path) -> bool:
    """Whether a finished audit lies in a folder."""
    return (folder / MANIFEST).exists() and read_manifest(folder).status == FINISHED


def state(folder: Path, finished: Callable[[Path], bool] = has_audit) -> JobState:
    """How the job of this folder stands, from what lies on disk.

    `finished` says whether what the worker writes is complete.
    """
    job = read_job(folder)
    progress = read_progress(folder)
    if job is not None and _is_running(folder):
        rate = progress.rate if progress.pid == job.pid else 0.0  # not that of an earlier run
        ahead = queue.ahead(_queue(), folder.resolve())
        return JobState(
            progress.done, progress.total, progress.seconds, rate, phase=RUNNING, ahead=ahead
        )
    if finished(folder):
        return JobState(phase=DONE)
    phase, sentence = _ending(_file(folder, "log"))
    return JobState(progress.done, progress.total, progress.seconds, phase=phase, sentence=sentence)


def read_job(folder: Path) -> Job | None:
    """The job of this folder; None when it is not known."""
    content = read_json(_file(folder, "json"))
    if not content:
        return None
    arguments, program = (tuple(content.get(key, ())) for key in ("arguments", "program"))
    return Job(folder, arguments, content["pid"], content["started"], program)


def unfinished_jobs() -> list[Job]:
    """Jobs in the workspace that run, or that can go on, the newest first."""
    folder = workspace_folder()
    jobs = [read_job(folder / path.stem) for path in (folder / JOBS).glob("*.json")]
    unfinished = [
        job
        for job in jobs
        if job
        and (_is_running(job.folder) or (job.folder.is_dir() and state(job.folder).phase != DONE))
    ]
    return sorted(unfinished, key=lambda job: job.started, reverse=True)


def log(folder: Path) -> str:
    """All that the worker has printed for people."""
    try:
        return _file(folder, "log").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def _file(folder: Path, ending: str) -> Path:
    return folder.parent / JOBS / f"{folder.name}.{ending}"


def _queue() -> Path:
    """The queue of the workspace, whatever folder a job writes."""
    return workspace_folder().resolve() / JOBS / queue.QUEUE


def _task(arguments: Sequence[str]) -> str:
    """What an audit computes, whatever its folder is called; "" for other jobs."""
    if arguments[0] != "audit":
        return ""
    words = sorted(word for word in arguments if not word.startswith("--out="))
    return hashlib.sha256("\0".join(words).encode()).hexdigest()


def _is_running(folder: Path) -> bool:
    """Whether a worker lives."""
    return is_locked(_file(folder, "lock"))


def _ending(path: Path) -> tuple[str, str]:
    """How a worker that has not finished ended, and the sentence that says why."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except FileNotFoundError:
        lines = []
    last = lines[-1].strip() if lines else ""
    if last.startswith(STOPPED_LINE):
        return STOPPED, "You stopped it. Resume goes on where it ended."
    if not last or PROGRESS_LINE.match(last):
        return STOPPED, KILLED
    if any(line.startswith("Traceback ") for line in lines):
        return FAILED, f"The program itself failed: {last} Please report it with the log."
    return FAILED, last
