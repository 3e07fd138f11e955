"""The bundled demo: surfaces made on the spot, the shipped network, one finished audit."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from trust_core.data.demo.surfaces import SAMPLES_FILE, SETTINGS_FILE, generate
from trust_core.errors import StoreError
from trust_core.storage.audit_files import Audit, open_audit
from trust_core.storage.manifest import MANIFEST
from trust_core.storage.workspace import workspace_folder

if TYPE_CHECKING:
    from trust_core.storage.progress import Progress

NETWORK = Path(__file__).parents[1] / "model" / "demo_network.safetensors"


def demo_audit(progress: Callable[["Progress"], None] = lambda _: None) -> Audit:
    """The demo audit in the workspace; computed when it is not there yet, about a minute."""
    folder = workspace_folder() / "demo"
    surfaces = generate(workspace_folder() / "demo-surfaces")
    made_from = (NETWORK, surfaces / SETTINGS_FILE)
    try:
        audit = open_audit(folder)
        if (folder / MANIFEST).stat().st_mtime > max(f.stat().st_mtime for f in made_from):
            return audit
    except StoreError:
        pass  # not there, or not finished: computed below, which says what is wrong with the rest

    # What follows needs torch, which takes seconds to load.
    from trust_core.audit.run import run_audit
    from trust_core.audit.settings import AuditSettings
    from trust_core.data.layouts import read_dataset
    from trust_core.decision.localization.pixel_counts import MASK_HEAD, make_counts
    from trust_core.model.open import ModelOptions, open_for_audit

    images, options = read_dataset(surfaces, samples=surfaces / SAMPLES_FILE), ModelOptions()
    audit = run_audit(
        open_for_audit(NETWORK, options, images),
        images,
        AuditSettings(),
        folder,
        origin={"path": str(NETWORK), "options": asdict(options)},
        command=("demo",),
        progress=progress,
    )
    make_counts(audit, MASK_HEAD)  # or the page Localization would begin with a wait
    return audit
