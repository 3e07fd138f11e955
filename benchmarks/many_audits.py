"""Audits started all at once: whether each ends, none is computed twice, and what they take.

    python -m benchmarks.many_audits [--audits 20] [--same 4] [--model M --data D] --json

Audits in a workspace of their own, each started by a thread as a page starts it, all at one moment;
`--same` of them each ask for the same thing under other names. Without a model and data they are of
the shipped network on surfaces made on the spot (`--parts`).

`computed`: audits that a worker has computed, by the log; `twice`: of these, more than one of the
same thing; `joined`: starts that were led to an audit that was made already or waited; `at_once`:
the most that computed at a time; `peak_mb`: the most memory of all workers together (their shares
of what is shared), every 0.2 seconds; `peak_share`: of the machine's memory. `holds`: all ended,
each once, within 60 % of the memory.
"""

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from trust_core.audit import jobs
from trust_core.audit.demo import NETWORK
from trust_core.data.demo.surfaces import SAMPLES_FILE, generate
from trust_core.storage import queue
from trust_core.storage.event_log import LOG
from trust_core.storage.manifest import read_manifest
from trust_core.storage.workspace import JOBS

AUDITS, SAME, PARTS, SIZE = 20, 4, 40, 128
PAUSE = 0.2  # seconds between looks
MOST_SHARE = 0.6  # of the machine's memory
MEBIBYTE = 2**20


def commands(options: argparse.Namespace, workspace: Path) -> list[list[str]]:
    """What follows `python -m trust_core` of each audit, and its folder in the last word."""
    model, data, words = options.model, options.data, list(options.words)
    if model is None or data is None:
        model, data = NETWORK, generate(workspace / "surfaces", parts=options.parts, size=SIZE)
        words.append(f"--samples={data / SAMPLES_FILE}")
    return [
        # What is asked for differs in a strength alone.
        ["audit", str(model), str(data), *words, f"--strengths=0,{1 + number // options.same}",
         "--json", f"--out={workspace / f'audit-{number}'}"]
        for number in range(options.audits)
    ]  # fmt: skip


def start(asked: list[list[str]]) -> list[Path]:
    """Start all at one moment; the folders that each was led to."""
    together = threading.Barrier(len(asked))

    def one(words: list[str]) -> Path:
        together.wait()
        return jobs.start(words, Path(words[-1].removeprefix("--out="))).folder

    with ThreadPoolExecutor(len(asked)) as pool:
        return list(pool.map(one, asked))


def watch(folders: list[Path], workspace: Path) -> tuple[int, int]:
    """Wait until none runs any more; the most that computed at once, and their most memory."""
    at_once = memory = 0
    groups = [job.pid for folder in folders if (job := jobs.read_job(folder))]
    while any(jobs.state(folder).phase == jobs.RUNNING for folder in folders):
        known = queue.entries(workspace / JOBS / queue.QUEUE)
        at_once = max(at_once, sum(entry.runs and entry.lives for entry in known))
        memory = max(memory, sum(map(group_memory, groups)))
        time.sleep(PAUSE)
    return at_once, memory


def group_memory(group: int) -> int:
    """Bytes that the processes of a group hold, each with its share of what several hold."""
    found = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(folder.name)) == group:
                lines = (folder / "smaps_rollup").read_text().splitlines()
                found += sum(int(line.split()[1]) * 1024 for line in lines if line[:4] == "Pss:")
        except (ProcessLookupError, FileNotFoundError):  # it has ended meanwhile
            continue
    return found


def measure(options: argparse.Namespace, workspace: Path) -> dict[str, object]:
    """All figures."""
    asked = commands(options, workspace)
    began = time.perf_counter()
    led = start(asked)
    folders = sorted(set(led))
    at_once, peak = watch(folders, workspace)
    seconds = time.perf_counter() - began
    states = {folder.name: jobs.state(folder) for folder in folders}
    ended = [folder for folder in folders if states[folder.name].phase == jobs.DONE]
    different = -(-options.audits // options.same)
    lines = map(json.loads, (workspace / LOG).read_text().splitlines())
    computed = sum(line["event"] == "audit" for line in lines)
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    found = {
        "audits": options.audits,
        "different": different,
        "joined": options.audits - len(folders),
        "ended": len(ended),
        "computed": computed,
        "twice": computed - len({read_manifest(folder).model_pass for folder in ended}),
        "failed": {name: s.sentence for name, s in states.items() if s.phase != jobs.DONE},
        "images": sorted({read_manifest(folder).counts.total for folder in ended}),
        "at_once": at_once,
        "peak_mb": round(peak / MEBIBYTE),
        "machine_mb": round(machine / MEBIBYTE),
        "peak_share": round(peak / machine, 3),
        "seconds": round(seconds, 1),
        "load_before": round(options.load, 2),
    }
    share = peak / machine
    return found | {
        "holds": len(ended) == computed == different and share <= MOST_SHARE,
    }


def main() -> None:
    """Print one JSON object; exit 1 where it does not hold."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.many_audits", description=__doc__)
    parser.add_argument("--audits", type=int, default=AUDITS, metavar="N")
    parser.add_argument("--same", type=int, default=SAME, metavar="N", help="ask for the same")
    parser.add_argument("--model", type=Path, metavar="FILE")
    parser.add_argument("--data", type=Path, metavar="DIR")
    parser.add_argument("--parts", type=int, default=PARTS, metavar="N", help="that are made")
    parser.add_argument("--words", nargs="*", default=[], metavar="W", help="of the audit command")
    parser.add_argument("--json", action="store_true", help="the only form there is")
    options = parser.parse_args()
    options.load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TRUST_CORE_WORKSPACE"] = folder
        result = measure(options, Path(folder).resolve())
    print(json.dumps(result))
    sys.exit(not result["holds"])


if __name__ == "__main__":
    main()
