"""A report made: collected, drawn, judged and sealed."""

from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from trust_core.decision.json_object import json_object
from trust_core.deploy.report.conditions import Outcome, judge, overall
from trust_core.deploy.report.content import ReportContent, ReportSettings, collect, measures
from trust_core.deploy.report.page import render
from trust_core.deploy.report.seal import seal, verify
from trust_core.storage.audit_files import Audit


@dataclass(frozen=True)
class Report:
    """A finished report.

    `page` is the HTML file, `sha256` that of its content, as its seal says; `outcomes` are of its
    conditions.
    """

    page: bytes
    sha256: str
    content: ReportContent
    outcomes: tuple[Outcome, ...]
    signed: bool

    @property
    def status(self) -> str:
        """`pass`, `warn` or `fail`."""
        return overall(self.outcomes)

    def as_json(self) -> dict[str, Any]:
        """A JSON object: hash, status, conditions, recommendation, measures."""
        recommendation = self.content.recommendation
        return json_object(
            {
                "sha256": self.sha256,
                "signed": self.signed,
                "status": self.status,
                "conditions": [outcome.as_json() for outcome in self.outcomes],
                "recommendation": f"{recommendation.sentence} {recommendation.reason}",
                "role": self.content.role,
                "sealed": self.content.sealed,
                "measures": measures(self.content),
            }
        )


def make_report(
    audit: Audit, settings: ReportSettings, key: Ed25519PrivateKey | None = None
) -> Report:
    """Make the report on an audit.

    Seals are opened only where the settings say so. `key` signs it, in the name of
    `settings.person`; no signature when None.

    Raises:
        SettingsError: a setting that means nothing for this audit.
        StoreError: a seal is to be opened and the journal cannot be written.
    """
    content = collect(audit, settings)
    page = seal(render(content), key, settings.person)
    outcomes = judge(settings.conditions, measures(content))
    return Report(page, verify(page).sha256, content, outcomes, key is not None)
