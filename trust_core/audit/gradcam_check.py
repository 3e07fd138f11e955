"""The kept maps of one image against the same maps by the package grad-cam."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from trust_core.errors import SettingsError
from trust_core.explanation.map_forms import PACKAGE_MAPS, PREFIX
from trust_core.storage.audit_files import Audit

if TYPE_CHECKING:  # brings PyTorch, which who shows a check has no use for
    from trust_core.model.detector import Detector

Map = npt.NDArray[np.float32]

SIGNS = {"defect": 1, "good": -1}
ROUNDING = 2e-3  # half precision keeps 5e-4 of the largest value; the rest is arithmetic


@dataclass(frozen=True)
class GradcamCheck:
    """Maps of one image, ours and the package's; keys `defect`, `good`.

    `form` is that of the maps, as the package calls it; `theirs` are the package's, raw, `(h, w)`;
    `differences` the largest of a cell, as a share of the larger map's largest value.
    """

    form: str
    theirs: Mapping[str, Map]
    differences: Mapping[str, float]

    @property
    def largest(self) -> float:
        """The larger of the differences."""
        return max(self.differences.values())

    @property
    def agrees(self) -> bool:
        """Whether rounding explains the differences."""
        return self.largest <= ROUNDING


def package_form(audit: Audit) -> str:
    """The form of the audit's specific maps, as the package calls it.

    Raises:
        SettingsError: the package has no such map.
    """
    form = audit.manifest.settings.specific[0].removeprefix(PREFIX)
    if form not in PACKAGE_MAPS:
        raise SettingsError("The package grad-cam has no map of this form to compare with.")
    return form


def check_maps(
    audit: Audit, detector: "Detector", path: str, ours: Mapping[str, Map]
) -> GradcamCheck:
    """Compute the maps of the clean image by the package, and compare.

    `ours` are the raw maps at ε = 0 by side, `(h, w)`.

    Raises:
        SettingsError: the package has no map of this form.
        ModelError: the package fails on this network.
        UnreadableImage: the photograph cannot be read.
    """
    from trust_core.audit.reopen import network_input
    from trust_core.explanation.gradcam_package import package_map

    form = package_form(audit)
    pixels = network_input(audit, detector, path)[None]
    layer = audit.manifest.layer
    theirs, differences = {}, {}
    for side, sign in SIGNS.items():
        found = package_map(detector, form, pixels, layer, sign)[0]
        theirs[side] = found.cpu().numpy().astype(np.float32)
        largest = max(float(np.abs(values).max()) for values in (theirs[side], ours[side]))
        apart = float(np.abs(theirs[side] - ours[side]).max())
        differences[side] = apart / largest if largest else 0.0
    return GradcamCheck(form, theirs, differences)
