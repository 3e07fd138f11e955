"""The bundled demo: surfaces made on the spot, the shipped network, one finished audit."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from trust_core.audit import Progress, run_audit
from trust_core.data.layouts import read_dataset
from trust_core.data.surfaces import generate
from trust_core.model.opening import ModelOptions, open_detector
from trust_core.settings import AuditSettings
from trust_core.store import Audit, workspace

NETWORK = Path(__file__).parent / "model" / "demo_network.safetensors"


def demo_audit(progress: Callable[[Progress], None] = lambda _: None) -> Audit:
    """The demo audit in the workspace; computed when it is not there yet, about a minute."""
    surfaces = generate(workspace() / "demo-surfaces")
    dataset = read_dataset(surfaces, samples=surfaces / "samples.csv")
    return run_audit(
        open_detector(NETWORK),
        dataset,
        AuditSettings(),
        workspace() / "demo",
        origin={"path": str(NETWORK), "options": asdict(ModelOptions())},
        progress=progress,
    )
