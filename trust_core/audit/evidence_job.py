"""One slow form of evidence for one part, as a process: `python -m … AUDIT PART FORM K STRIDE`.

It writes its progress as an audit does, and the result when it is complete. SIGTERM ends it.
"""

import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import torch

from trust_core.audit.evidence_store import SAMPLES, EvidenceTask, write_result
from trust_core.audit.reopen import network_input, reopen_detector
from trust_core.errors import StoreError, TrustError
from trust_core.explanation.evidence.audit_gaussian import audit_patch_gaussian
from trust_core.explanation.evidence.forms import evidence
from trust_core.model.detector import Detector
from trust_core.storage.audit_files import Audit, open_audit
from trust_core.storage.progress import progress_writer, stopwatch

PIXELS = 4 * 224 * 224  # of the batch that is timed


def pass_seconds(detector: Detector) -> float:
    """Seconds that an image takes through the network here, in a small batch, once it is warm."""
    height, width = detector.preprocessing.size
    count = max(1, PIXELS // (height * width))
    images = torch.zeros(count, detector.preprocessing.input_channels, height, width)

    def once() -> float:
        began = time.perf_counter()
        detector.log_odds(images)
        return (time.perf_counter() - began) / count

    return min(once() for _ in range(3))  # the first is cold


def compute(audit: Audit, task: EvidenceTask) -> None:
    """Compute a task and keep its result.

    Raises:
        TrustError: the model, the photograph or the audit cannot be used, with the reason.
    """
    paths = audit.query("SELECT path FROM samples WHERE sample_id = ?", [task.sample_id])["path"]
    if paths.empty:
        raise StoreError(f"The audit has no part {task.sample_id}.")
    folder = task.folder(audit)
    folder.mkdir(parents=True, exist_ok=True)
    detector = reopen_detector(audit)
    measure, note = stopwatch(), progress_writer(folder)
    found = evidence(
        detector,
        network_input(audit, detector, paths.iloc[0]),
        audit_patch_gaussian(audit, task.window),
        task.form,
        window=task.window,
        stride=task.stride,
        samples=SAMPLES,
        progress=lambda done, total: note(measure(done, total)),
    )
    write_result(folder, found)


def main(words: Sequence[str]) -> int:
    """Run the task that the command line names; a problem is one sentence and exit code 2."""
    signal.signal(signal.SIGTERM, _stop)
    folder, sample_id, form, window, stride = words
    try:
        compute(open_audit(Path(folder)), EvidenceTask(sample_id, form, int(window), int(stride)))
    except TrustError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    return 0


def _stop(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
