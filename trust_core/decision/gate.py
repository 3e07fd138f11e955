"""A gate for pipelines: stated requirements, each met or not, and a JUnit file of them."""

import math
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml  # written here, never parsed

from trust_core.decision.certificate import Demand, check_share
from trust_core.decision.certify import Certificate, ChosenIndicator, certify
from trust_core.errors import file_errors
from trust_core.messages import share_text
from trust_core.storage.audit_files import Audit

NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Requirement:
    """One requirement and how it went."""

    name: str
    met: bool
    sentence: str


@dataclass(frozen=True)
class GateResult:
    """Whether an audit meets its requirements."""

    requirements: tuple[Requirement, ...]
    certificate: Certificate

    @property
    def met(self) -> bool:
        """Whether all of them hold."""
        return all(requirement.met for requirement in self.requirements)

    @property
    def sentence(self) -> str:
        """What is not met, or that all is."""
        failed = [requirement.sentence for requirement in self.requirements if not requirement.met]
        return " ".join(failed) or "All requirements are met."

    def as_json(self) -> dict[str, Any]:
        """A JSON object: `met`, `sentence`, `requirements` and the whole `certificate`."""
        return {
            "met": self.met,
            "sentence": self.sentence,
            "requirements": [asdict(requirement) for requirement in self.requirements],
            "certificate": self.certificate.as_json(),
        }


def gate(
    audit: Audit, demand: Demand, chosen: ChosenIndicator, max_tn_loss: float | None
) -> GateResult:
    """Hold an audit to requirements.

    The seals of `certify` and `test` are opened. `max_tn_loss` is the highest TN loss at the
    certified threshold, on `certify` and on `test`; None asks for no such thing.

    Raises:
        SettingsError: a loss that is no share.
    """
    if max_tn_loss is not None:
        check_share("max TN loss", max_tn_loss)
    certificate = certify(audit, demand, chosen)
    recall = f"recall {demand.recall:g} with confidence {demand.confidence:g}"
    requirements = [Requirement(recall, certificate.certified, certificate.sentence)]
    if max_tn_loss is not None:
        requirements += [
            _loss("certify", certificate.ours.certify.tn_loss, max_tn_loss),
            _loss("test", certificate.ours.test.tn_loss, max_tn_loss),
        ]
    return GateResult(tuple(requirements), certificate)


def _loss(role: str, loss: float | None, most: float) -> Requirement:
    name = f"TN loss at most {most:g} on {role}"
    if loss is None or math.isnan(loss):
        why = "nothing is certified or no good part was passed"
        return Requirement(name, False, f"The loss of good parts on {role} is not known: {why}.")
    met = loss <= most
    words = "keeps to" if met else "exceeds"
    said = f"{share_text(loss, 2)}, {words} {share_text(most, 2)}"
    return Requirement(name, met, f"The loss of good parts on {role}, {said}.")


def write_junit(path: Path, result: GateResult) -> None:
    """Write what `gate` returned as JUnit XML, a test case for each requirement.

    Raises:
        StoreError: the file cannot be written.
    """
    failures = sum(not requirement.met for requirement in result.requirements)
    count = {"tests": str(len(result.requirements)), "failures": str(failures), "errors": "0"}
    suites = Xml.Element("testsuites", count)
    suite = Xml.SubElement(suites, "testsuite", {"name": "trust_core gate", **count})
    audit = _text(str(result.certificate.folder))
    for requirement in result.requirements:
        case = Xml.SubElement(suite, "testcase", classname=audit, name=_text(requirement.name))
        said = _text(requirement.sentence)
        if requirement.met:
            Xml.SubElement(case, "system-out").text = said
        else:
            Xml.SubElement(case, "failure", message=said, type="NotMet").text = said
    with file_errors(f"Cannot write {path}", "choose another file"):
        Xml.ElementTree(suites).write(path, encoding="utf-8", xml_declaration=True)


def _text(text: str) -> str:
    """Without the characters that no XML may hold, escaped or not."""
    return NOT_XML.sub("\ufffd", text)
