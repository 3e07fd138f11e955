"""What a report says: the numbers of an audit, from the functions that the pages use.

A sealed role enters only when its seal was opened; opening it is a deliberate act of the caller.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pandas as pd

from trust_core.decision.certificate import Demand
from trust_core.decision.certify import (
    Certificate,
    ChosenIndicator,
    ThresholdEffect,
    certify,
    compute_certificate,
    point_to_certify,
    threshold_effect,
)
from trust_core.decision.curves import Tradeoff, scored, tradeoff
from trust_core.decision.heatmap_health import HeatmapHealth, heatmap_health
from trust_core.decision.indicator_verdicts import IndicatorVerdict, indicator_verdicts
from trust_core.decision.journal import SEALED, closed_seals
from trust_core.decision.line_costs import (
    OWN,
    Line,
    LineValue,
    audit_on_the_line,
    threshold_options,
)
from trust_core.decision.operating_point import (
    FlagCounts,
    OperatingPoint,
    count_flags,
    default_threshold,
    noted_point,
)
from trust_core.decision.verdict import Verdict, verdict
from trust_core.deploy.operating_point import promise
from trust_core.deploy.report.conditions import Condition
from trust_core.figures.words.audit import not_scored
from trust_core.figures.words.recommendation import Recommendation, recommend
from trust_core.storage.audit_files import Audit

USUAL_DEMAND = Demand(0.95)
USUAL_LINE = Line(0.01, 1000, 100, 1)  # what the page Decide begins with


@dataclass(frozen=True)
class ReportSettings:
    """What a report is asked to say.

    `title` is the audit's name when ""; `worst` parts of each sort are shown, with their heatmaps;
    with `open_seals` sealed photos are looked at, which is noted.
    """

    demand: Demand = USUAL_DEMAND
    line: Line = USUAL_LINE
    person: str = ""
    title: str = ""
    conditions: tuple[Condition, ...] = ()
    worst: int = 4
    open_seals: bool = False


@dataclass(frozen=True)
class ReportContent:
    """Everything that a report says of an audit.

    Attributes:
        audit: it is on.
        settings: what was asked for.
        made: when, as the manifest writes times.
        point: the operating point.
        chosen: whether somebody chose it; else it is where one would begin.
        role: the images that report: `test`, or `tune` while that is sealed.
        sealed: roles whose seal is closed.
        judged: the indicator against threshold shift, on `role`.
        certificate: None while a seal is closed.
        promise: what is proven of the very threshold of the point.
        counts: what the point flags on `role`.
        effect: the same with intervals and by kind.
        scores: the trade-off on `role`.
        indicators: every indicator beside threshold shift, on `role`.
        options: the thresholds one could decide on.
        line_values: what each does to the line.
        health: of the heatmaps, on `role`.
        unscored: images without a score, each with its reason.
        recommendation: what to do.
    """

    audit: Audit
    settings: ReportSettings
    made: str
    point: OperatingPoint
    chosen: bool
    role: str
    sealed: tuple[str, ...]
    judged: Verdict
    certificate: Certificate | None
    promise: str
    counts: FlagCounts
    effect: ThresholdEffect
    scores: Tradeoff
    indicators: tuple[IndicatorVerdict, ...]
    options: Mapping[str, OperatingPoint]
    line_values: Mapping[str, Mapping[str, LineValue]]
    health: HeatmapHealth
    unscored: pd.DataFrame
    recommendation: Recommendation = field(repr=False)


def collect(audit: Audit, settings: ReportSettings) -> ReportContent:
    """The content of the report on an audit.

    Raises:
        SettingsError: a setting that means nothing for this audit.
        StoreError: a seal is to be opened and the journal cannot be written.
    """
    noted = noted_point(audit)
    chosen = point_to_certify(audit, noted)
    sealed = closed_seals(audit, SEALED)
    if settings.open_seals and sealed:
        certify(audit, settings.demand, chosen, settings.person)
        sealed = closed_seals(audit, SEALED)
    certificate = None if sealed else compute_certificate(audit, settings.demand, chosen)
    role = "tune" if "test" in sealed else "test"
    point = replace(noted or _first_point(audit, chosen, certificate), role=role)
    scores = tradeoff(audit, point.indicator, role)
    passed = scored(audit, [role], point.indicator, point.strength)
    judged = certificate.verdict if certificate else verdict(passed, settings.demand.recall)
    options = threshold_options(audit, replace(point, role="tune"), settings.line, certificate)
    return ReportContent(
        audit=audit,
        settings=settings,
        made=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        point=point,
        chosen=noted is not None,
        role=role,
        sealed=sealed,
        judged=judged,
        certificate=certificate,
        promise=promise(audit, point, settings.demand),
        counts=count_flags(scores.curves[point.strength], scores.shift, point),
        effect=threshold_effect(passed, point.threshold),
        scores=scores,
        indicators=tuple(indicator_verdicts(audit, role, point.strength)),
        options=options,
        line_values={
            key: audit_on_the_line(audit, role, option, settings.line)
            for key, option in options.items()
        },
        health=heatmap_health(audit, (role,)),
        unscored=not_scored(audit),
        recommendation=recommend(point, judged, certificate),
    )


def measures(content: ReportContent) -> dict[str, float | str | None]:
    """What conditions can be stated on; None where it is not known.

    Rates are shares; `test` values are unknown while its seal is closed.
    """
    certificate, manifest = content.certificate, content.audit.manifest
    proof = certificate.ours.proof if certificate else None
    line = content.line_values[OWN]
    passed = manifest.counts.fn + manifest.counts.tn
    tested = content.effect if content.role == "test" else None
    return {
        "verdict": content.judged.colour if content.role == "test" else None,
        "recommendation": content.recommendation.way,
        "certified": _yes(certificate.certified) if certificate else None,
        "chosen_blind": _yes(certificate.chosen_blind) if certificate else None,
        "recall_lower_bound": proof.recall_lower_bound if proof else None,
        "groups": proof.groups if proof else None,
        "auroc": content.judged.indicator.auroc if tested else None,
        "auroc_difference": content.judged.difference if tested else None,
        "fn_recall": tested.fn_recall if tested else None,
        "tn_loss": tested.tn_loss if tested else None,
        "escapes_per_million": line["escapes_after"].value if tested else None,
        "reinspections_per_shift": line["reinspections"].value if tested else None,
        "cost_per_part": line["cost_after"].value if tested else None,
        "unreadable": manifest.unreadable,
        "unscored": manifest.unscored,
        "unscored_share": manifest.unscored / passed if passed else None,
    }


MEASURES = (
    *("verdict", "recommendation", "certified", "chosen_blind", "recall_lower_bound", "groups"),
    *("auroc", "auroc_difference", "fn_recall", "tn_loss", "escapes_per_million"),
    *("reinspections_per_shift", "cost_per_part", "unreadable", "unscored", "unscored_share"),
)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _first_point(
    audit: Audit, chosen: ChosenIndicator, certificate: Certificate | None
) -> OperatingPoint:
    """Where one would begin when nobody chose: the certified threshold, else 90 % on `tune`."""
    threshold = certificate.ours.proof.threshold if certificate else None
    if threshold is None:
        threshold = default_threshold(audit, chosen.indicator, chosen.strength)
    return OperatingPoint(chosen.indicator, chosen.strength, threshold, "tune")
