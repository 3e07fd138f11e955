"""Evidence kept with an audit: results of the slow forms, and the scale of the colours.

A result lies in the audit's folder as `evidence/NAME/result.npz`, where NAME says which part, form
and windows; a worker that computes it writes its progress beside it. The scale is one number for
each question and window, measured once on a fixed sample of images that are not sealed, so that a
colour means the same on every part, today and tomorrow. Forms that answer the same question share
it: where one is paler than another, it finds less.
"""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trust_core.errors import StoreError, UnreadableImage
from trust_core.explanation.evidence.windows import Evidence, window_starts
from trust_core.figures.evidence import scale_end
from trust_core.storage.atomic import read_json, replacing, write_json
from trust_core.storage.audit_files import Audit

if TYPE_CHECKING:  # bring PyTorch, which who reads a result has no use for
    from trust_core.explanation.evidence.patch_gaussian import PatchGaussian
    from trust_core.model.detector import Detector

FOLDER = "evidence"
RESULT, SCALE = "result.npz", "scale.json"
SAMPLES = 10  # draws a window, as prediction difference analysis is usually run
GRADIENT = 3  # forwards that one with its gradient costs
MOST, FEWEST = 8, 4  # images that the scale is measured on: somebody waits for it
PIXELS = MOST * 224 * 224  # at least as many images as these hold, within the above
OWN_QUESTION = ("gradient-x-input", "saliency")  # against black, against one grey step
SHARED = "first-order"  # measures the scale of all others


@dataclass(frozen=True)
class EvidenceTask:
    """One form of evidence for one part.

    `form` is a key of `FORMS`; windows are `window` pixels wide, and `stride` apart.
    """

    sample_id: str
    form: str
    window: int
    stride: int

    def arguments(self, audit: Audit) -> list[str]:
        """What the worker `evidence_job` is started with."""
        return [str(audit.folder), self.sample_id, self.form, str(self.window), str(self.stride)]

    def folder(self, audit: Audit) -> Path:
        """The folder of its result, there or not."""
        name = f"{self.sample_id}-{self.form}-{self.window}-{self.stride}-{SAMPLES}"
        return audit.folder / FOLDER / name

    def windows(self, size: tuple[int, int]) -> int:
        """Windows on a network input of (H, W)."""
        rows, columns = (window_starts(length, self.window, self.stride) for length in size)
        return len(rows) * len(columns)

    def passes(self, size: tuple[int, int]) -> int:
        """Passes through the network that it takes at most, a gradient as two of them."""
        windows = self.windows(size)
        most = {
            "prediction-difference": windows * SAMPLES,
            "corrected-plug-in": windows + SAMPLES * GRADIENT,
        }
        return most.get(self.form, windows)


def has_result(folder: Path) -> bool:
    """Whether the result of a task lies in its folder."""
    return (folder / RESULT).is_file()


def write_result(folder: Path, found: Evidence) -> None:
    """Write a result, by rename."""
    with replacing(folder / RESULT) as unfinished, unfinished.open("wb") as file:
        np.savez_compressed(file, **vars(found))


def read_result(folder: Path) -> Evidence:
    """Read a result that `write_result` wrote.

    Raises:
        StoreError: it is damaged.
    """
    try:
        with np.load(folder / RESULT, allow_pickle=False) as values:
            arrays = {name: values[name] for name in Evidence.__dataclass_fields__}
        return Evidence(
            **{name: array if array.ndim else array.item() for name, array in arrays.items()}
        )
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise StoreError(
            f"{folder / RESULT} is damaged; delete it and check against the slow method again."
        ) from error


def evidence_scale(
    audit: Audit, detector: "Detector", surroundings: "PatchGaussian", form: str
) -> float:
    """Bits at the end of the colour scale; above 0.

    Raises:
        StoreError: no image of the sample can be read.
    """
    path = audit.folder / FOLDER / SCALE
    form = form if form in OWN_QUESTION else SHARED
    name = f"{form}-{surroundings.window}"
    scale = read_json(path).get(name)
    if scale is None:
        scale = _measure(audit, detector, surroundings, form)
        with suppress(OSError):  # an audit that cannot be written is measured at every start
            path.parent.mkdir(exist_ok=True)
            write_json(path, read_json(path) | {name: scale})
    return float(scale) or 1.0


def _measure(audit: Audit, detector: "Detector", surroundings: "PatchGaussian", form: str) -> float:
    from trust_core.audit.reopen import network_input
    from trust_core.explanation.evidence.forms import evidence

    count = min(MOST, max(FEWEST, PIXELS // int(np.prod(detector.preprocessing.size))))
    # An image's id is a hash of its path: their order is as good as a draw, and always the same.
    paths = audit.query(
        "SELECT path FROM samples WHERE role IN ('train', 'tune') AND predicted IS NOT NULL "
        "ORDER BY sample_id LIMIT ?",
        [count],
    )["path"]
    found = []
    for path in paths:
        with suppress(UnreadableImage):
            pixels = network_input(audit, detector, path)
            window = surroundings.window
            seen = evidence(detector, pixels, surroundings, form, window=window, check=False)
            found.append(seen.bits)
    if not found:
        raise StoreError(
            f"None of the photographs that are not sealed can be read in "
            f"{audit.manifest.data.root}; the scale of the colours is measured on them."
        )
    return scale_end(np.stack(found))
