"""Audit a binary defect classifier: data → model → explanation → decision.

The names below are meant to last; `docs/library.md` shows them at work. Each is imported when it is
first used, so that `import trust_core` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trust_core.audit.run import run_audit
    from trust_core.audit.settings import AuditSettings
    from trust_core.data.layouts import read_dataset
    from trust_core.decision.certificate import Demand
    from trust_core.decision.certify import certify
    from trust_core.decision.curves import tradeoff
    from trust_core.decision.indicators.registry import INDICATORS
    from trust_core.deploy.guard import Guard
    from trust_core.explanation.cams import AGNOSTIC, SPECIFIC
    from trust_core.explanation.evidence.forms import evidence
    from trust_core.explanation.overlap import MASKS
    from trust_core.model.detector import Detector
    from trust_core.model.open import ModelOptions, open_detector
    from trust_core.model.outputs import choose_convention
    from trust_core.model.preprocessing import Preprocessing
    from trust_core.storage.audit_files import open_audit

_MODULES = {
    "AGNOSTIC": "explanation.cams",
    "AuditSettings": "audit.settings",
    "Demand": "decision.certificate",
    "Detector": "model.detector",
    "Guard": "deploy.guard",
    "INDICATORS": "decision.indicators.registry",
    "MASKS": "explanation.overlap",
    "ModelOptions": "model.open",
    "Preprocessing": "model.preprocessing",
    "SPECIFIC": "explanation.cams",
    "certify": "decision.certify",
    "choose_convention": "model.outputs",
    "evidence": "explanation.evidence.forms",
    "open_audit": "storage.audit_files",
    "open_detector": "model.open",
    "read_dataset": "data.layouts",
    "run_audit": "audit.run",
    "tradeoff": "decision.curves",
}

__all__ = [
    "AGNOSTIC",
    "INDICATORS",
    "MASKS",
    "SPECIFIC",
    "AuditSettings",
    "Demand",
    "Detector",
    "Guard",
    "ModelOptions",
    "Preprocessing",
    "certify",
    "choose_convention",
    "evidence",
    "open_audit",
    "open_detector",
    "read_dataset",
    "run_audit",
    "tradeoff",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - functions, classes and tables
    if name not in _MODULES:
        raise AttributeError(f"module 'trust_core' has no attribute '{name}'")
    return getattr(import_module(f"trust_core.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
