"""How strong evidence gets on an audit's images: the end of the colours, one for all its parts.

One number for each question and window, measured once on a fixed sample of images that are not
sealed and kept with the audit, so that a colour means the same on every part, today and tomorrow.
Forms that answer the same question share it: where one is paler than another, it finds less.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from trust_core.audit.evidence_store import FOLDER
from trust_core.audit.reopen import network_input
from trust_core.errors import StoreError, UnreadableImage
from trust_core.explanation.evidence.forms import evidence
from trust_core.explanation.evidence.patch_gaussian import Conditional
from trust_core.model.detector import Detector
from trust_core.storage.atomic import write_json
from trust_core.storage.audit_files import Audit

FILE = "scale.json"
QUANTILE = 0.995  # 1 in 200 pixels lies above the end of the colours, as with the heatmaps
MOST, FEWEST = 24, 8  # images of the sample
OWN_QUESTION = ("gradient-x-input", "saliency")  # against black, against one grey step
SHARED = "first-order"  # measures it for all others
PIXELS = MOST * 224 * 224  # at least as many images as these hold, within the above


def display_scale(
    audit: Audit,
    detector: Detector,
    conditional: Conditional,
    form: str,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> float:
    """Bits at the end of the colour scale; above 0.

    Args:
        audit: the audit.
        detector: its model.
        conditional: of the window.
        form: a key of `FORMS`.
        progress: called with the number of images done and of all, when it is not known yet.

    Raises:
        StoreError: no image of the sample can be read.
    """
    path = audit.folder / FOLDER / FILE
    form = form if form in OWN_QUESTION else SHARED
    name = f"{form}-{conditional.window}"
    known = _read(path)
    if name not in known:
        known[name] = _measure(audit, detector, conditional, form, progress)
        with suppress(OSError):  # an audit that cannot be written is measured at every start
            path.parent.mkdir(exist_ok=True)
            write_json(path, _read(path) | known)
    return known[name] or 1.0


def _measure(
    audit: Audit,
    detector: Detector,
    conditional: Conditional,
    form: str,
    progress: Callable[[int, int], None],
) -> float:
    count = min(MOST, max(FEWEST, PIXELS // int(np.prod(detector.preprocessing.size))))
    # An image's id is a hash of its path: their order is as good as a draw, and always the same.
    paths = audit.query(
        "SELECT path FROM samples WHERE role IN ('train', 'tune') AND predicted IS NOT NULL "
        "ORDER BY sample_id LIMIT ?",
        [count],
    )["path"].tolist()
    found = []
    for done, path in enumerate(paths):
        progress(done, len(paths))
        with suppress(UnreadableImage):
            pixels = network_input(audit, detector, path)
            window = conditional.window
            seen = evidence(detector, pixels, conditional, form, window=window, check=False)
            found.append(seen.bits)
    if not found:
        raise StoreError(
            f"None of the photographs that are not sealed can be read in "
            f"{audit.manifest['data']['root']}; the scale of the colours is measured on them."
        )
    return float(np.quantile(np.abs(np.stack(found)), QUANTILE))


def _read(path: Path) -> dict[str, float]:
    try:
        return {name: float(value) for name, value in json.loads(path.read_text()).items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
