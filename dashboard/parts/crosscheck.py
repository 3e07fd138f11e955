"""Our kept map of one part against the same map by the package grad-cam."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trust_core.audit.reopen import network_input
from trust_core.explanation.gradcam_package import PACKAGE_MAPS, PREFIX, package_map
from trust_core.model.detector import Detector
from trust_core.storage.audit_files import Audit

SIGNS = {"defect": 1, "good": -1}
AGREES = 2e-3  # half precision keeps 5e-4 of the largest value; the rest is arithmetic


@dataclass(frozen=True)
class Check:
    """One map, ours and theirs.

    Attributes:
        theirs: the package's map, raw, `(h, w)`.
        difference: largest difference of a cell, as a share of the larger map's largest value.
    """

    theirs: npt.NDArray[np.float32]
    difference: float

    @property
    def agrees(self) -> bool:
        """Whether rounding explains the difference."""
        return self.difference <= AGREES


def compared_form(audit: Audit) -> str | None:
    """The form of the specific maps that the package has too; None when it has not."""
    form = str(audit.manifest["settings"]["specific"][0]).removeprefix(PREFIX)
    return form if form in PACKAGE_MAPS else None


def check(
    audit: Audit,
    detector: Detector,
    path: str,
    ours: dict[str, npt.NDArray[np.float32]],
) -> dict[str, Check]:
    """Compute the maps of the clean image by the package, and compare.

    Args:
        audit: the audit.
        detector: the audited model.
        path: of the image in the sample table.
        ours: raw maps at ε = 0 by side, `(h, w)`.

    Raises:
        UnreadableImage: the photograph cannot be read.
    """
    form = compared_form(audit)
    assert form is not None
    pixels = network_input(audit, detector, path)[None]
    layer = audit.manifest["layer"]
    found = {}
    for side, sign in SIGNS.items():
        theirs = package_map(detector, form, pixels, layer, sign)[0]
        values = theirs.cpu().numpy().astype(np.float32)
        largest = max(float(np.abs(values).max()), float(np.abs(ours[side]).max()))
        apart = float(np.abs(values - ours[side]).max())
        found[side] = Check(values, apart / largest if largest else 0.0)
    return found
