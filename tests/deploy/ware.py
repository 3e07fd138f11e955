"""A small audit of a network with a file of its own architecture, and guards of it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import nn

from tests.small import small_dataset, small_detector, small_network
from trust_core.audit.run import run_audit
from trust_core.audit.settings import AuditSettings
from trust_core.decision.curves import scored
from trust_core.deploy.export import export_guard
from trust_core.deploy.guard import Guard
from trust_core.deploy.operating_point import DeployedPoint
from trust_core.model.detector import Detector
from trust_core.model.outputs import choose_convention
from trust_core.storage.audit_files import Audit

SETTINGS = AuditSettings(
    strengths=(0, 2),
    tta=True,
    specific=("gradcam", "layercam"),
    agnostic=("gradient", "norm"),
    decision_threshold=0.75,  # two thirds of the images are passed
)


@dataclass(frozen=True)
class Ware:
    """An audit, and the detector that was audited."""

    audit: Audit
    detector: Detector

    def export(self, folder: Path, indicator="iou_difference", strength=0.0, **more) -> Guard:
        """A guard whose threshold flags about a third of the passed images of `test`."""
        values = self.values("test", indicator, strength)
        threshold = float(np.nanquantile(list(values.values()), 0.67))
        point = DeployedPoint(indicator, strength, threshold, "a test")
        export_guard(self.audit, folder, point, detector=self.detector, **more)
        return Guard.load(folder, module=self.detector.module)

    def values(self, role: str, indicator: str, strength: float) -> dict[str, float]:
        """The indicator in the audit of each passed image of a role, by path."""
        table = scored(self.audit, [role], indicator, strength)
        paths = self.audit.query("SELECT path FROM samples ORDER BY sample_id")["path"]
        return dict(zip(paths.iloc[table["place"]], table["indicator"], strict=True))

    def paths(self, role: str) -> list[str]:
        """The images of a role."""
        rows = self.audit.query("SELECT path FROM samples WHERE role = ? ORDER BY path", [role])
        return rows["path"].tolist()

    def files(self, paths: list[str]) -> list[Path]:
        """Where they lie."""
        return [self.audit.data_file(path) for path in paths]


def make_ware(
    folder: Path,
    images: int = 240,
    *,
    outputs: int = 2,
    convention: dict[str, object] | None = None,
    layers: tuple[str, ...] = (),
    settings: dict[str, object] | None = None,
    wrap: Callable[[nn.Module], nn.Module] = lambda module: module,
) -> Ware:
    """Audit a small network.

    Args:
        folder: for images and audit.
        images: how many.
        outputs: of the network.
        convention: what `choose_convention` is told.
        layers: to explain.
        settings: that are not as in `SETTINGS`.
        wrap: makes another network of it.
    """
    plain = small_detector()
    detector = Detector(
        wrap(small_network(outputs)),
        plain.preprocessing,
        choose_convention(outputs, **(convention or {})),
        layers,
    )
    dataset = small_dataset(folder / "images", images)
    chosen = replace(SETTINGS, **(settings or {}))
    return Ware(run_audit(detector, dataset, chosen, folder / "audit"), detector)
