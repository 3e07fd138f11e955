"""Evidence that took long, kept with the audit: it is not computed twice.

It lies in the audit's folder as `evidence/NAME/result.npz`, where NAME says which part, form and
windows; a worker that computes it writes its progress beside it.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trust_core.errors import StoreError
from trust_core.explanation.evidence.forms import Evidence
from trust_core.storage.atomic import replacing
from trust_core.storage.audit_files import Audit

FOLDER = "evidence"
RESULT = "result.npz"
SAMPLES = 10  # draws a window, as prediction difference analysis is usually run


@dataclass(frozen=True)
class Task:
    """What is asked of one part.

    Attributes:
        sample_id: the part.
        form: a key of `FORMS`.
        window: k.
        stride: from window to window.
    """

    sample_id: str
    form: str
    window: int
    stride: int

    def folder(self, audit: Audit) -> Path:
        """Where its result lies, or will."""
        name = f"{self.sample_id}-{self.form}-{self.window}-{self.stride}-{SAMPLES}"
        return audit.folder / FOLDER / name


def is_kept(folder: Path) -> bool:
    """Whether the result of a task lies in its folder."""
    return (folder / RESULT).is_file()


def keep(folder: Path, found: Evidence) -> None:
    """Write a result, by rename."""
    with replacing(folder / RESULT) as unfinished, unfinished.open("wb") as file:
        np.savez_compressed(
            file,
            bits=found.bits,
            windows=found.windows,
            total=found.total,
            expected=found.expected,
            forwards=found.forwards,
            backwards=found.backwards,
            seconds=found.seconds,
        )


def kept(folder: Path) -> Evidence:
    """Read a result that `keep` wrote.

    Raises:
        StoreError: it is damaged.
    """
    try:
        with np.load(folder / RESULT, allow_pickle=False) as values:
            return Evidence(
                bits=values["bits"],
                windows=values["windows"],
                total=float(values["total"]),
                expected=float(values["expected"]),
                forwards=int(values["forwards"]),
                backwards=int(values["backwards"]),
                seconds=float(values["seconds"]),
            )
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise StoreError(
            f"{folder / RESULT} is damaged; delete it and check against the slow method again."
        ) from error
