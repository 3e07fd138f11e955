"""Our kept map of one part against the same map by the package grad-cam."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from trust_core.data.decode import read_image
from trust_core.errors import ModelError
from trust_core.explanation.package_maps import PACKAGE_MAPS, PREFIX, package_map
from trust_core.model.detector import Detector
from trust_core.model.opening import ModelOptions
from trust_core.store import Audit

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


def model_source(audit: Audit) -> tuple[Path, ModelOptions]:
    """Where the audited model lies and how it was opened, from the manifest.

    Raises:
        ModelError: the audit does not say, or the file has moved.
    """
    model = audit.manifest["model"]
    if not model.get("path"):
        raise ModelError(
            "This audit does not say where its model file lies; run the audit again to compare."
        )
    path = Path(model["path"])
    if not path.is_file():
        raise ModelError(f"The model file has moved: {path} is not there. Put it back to compare.")
    given = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in model.get("options", {}).items()
    }
    return path, ModelOptions(**given | {"layers": (audit.manifest["layer"],)})


def check_model(audit: Audit, detector: Detector) -> None:
    """Refuse a model that is not the audited one.

    Raises:
        ModelError: another file now lies under the same name.
    """
    if detector.sha256 != audit.manifest["model"]["sha256"]:
        raise ModelError(
            "The model file has changed since the audit (its sha256 differs), so the maps cannot "
            "be compared; run the audit again."
        )


def check(
    audit: Audit,
    detector: Detector,
    photo: Path,
    ours: dict[str, npt.NDArray[np.float32]],
) -> dict[str, Check]:
    """Compute the maps of the clean image by the package, and compare.

    Args:
        audit: the audit.
        detector: the audited model.
        photo: the image file.
        ours: raw maps at ε = 0 by side, `(h, w)`.

    Raises:
        UnreadableImage: the photograph cannot be read.
    """
    form = compared_form(audit)
    assert form is not None
    pixels = torch.from_numpy(detector.preprocessing.pixels(read_image(photo)))[None].float() / 255
    layer = audit.manifest["layer"]
    found = {}
    for side, sign in SIGNS.items():
        theirs = package_map(detector, form, pixels.to(detector.device), layer, sign)[0]
        values = theirs.cpu().numpy().astype(np.float32)
        largest = max(float(np.abs(values).max()), float(np.abs(ours[side]).max()))
        apart = float(np.abs(values - ours[side]).max())
        found[side] = Check(values, apart / largest if largest else 0.0)
    return found
