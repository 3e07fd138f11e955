"""The page of a report: its content as one HTML file that needs nothing else.

Everything that comes from outside is escaped by the template; what it takes as HTML already are the
tables and figures of `figures`. The policy in its head forbids the network and every script but
ours.
"""

import base64
import hashlib
import math
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import jinja2
from markupsafe import Markup

from trust_core.audit.jobs import read_job
from trust_core.decision.curves import caught_by_kind
from trust_core.decision.indicators.registry import THRESHOLD_SHIFT
from trust_core.decision.journal import entries
from trust_core.decision.line_costs import OWN, detector_rates
from trust_core.deploy.report.conditions import Outcome, judge, overall
from trust_core.deploy.report.content import ReportContent, measures
from trust_core.deploy.report.parts import PANEL_NAMES, parts_with_pictures
from trust_core.deploy.report.seal import CLOSE, OPEN
from trust_core.figures import decide
from trust_core.figures.svg import svg
from trust_core.figures.tradeoff import kind_bars, mark_tradeoff, tradeoff_chart
from trust_core.figures.words import audit as audit_words
from trust_core.figures.words import point as point_words
from trust_core.figures.words import proof as proof_words
from trust_core.figures.words import verdict as verdict_words
from trust_core.figures.words.markup import unbroken
from trust_core.figures.words.numbers import (
    ROLE_NAMES,
    count,
    counted,
    moment,
    number_text,
    percent,
    share,
)
from trust_core.messages import duration
from trust_core.storage.audit_files import Audit

HERE = Path(__file__).parent
WIDTH = 690  # pixels of a figure: what an A4 page has between its margins
MOST_KINDS = 24
MOST_UNSCORED = 40  # files listed
PROGRAM = ("python", "-m", "trust_core")
OUTCOME_WORDS = {"FN": "missed defect", "TN": "good part"}
COMMAND = re.compile(r"(<pre>.*?</pre>)", re.DOTALL)  # stays as it is typed
LEVEL_SIGNS = {"pass": ("✓", "Pass"), "warn": ("!", "Warning"), "fail": ("✕", "Fail")}


def render(content: ReportContent) -> bytes:
    """The HTML of a report, its seal still empty."""
    audit, point = content.audit, content.point
    outcomes = judge(content.settings.conditions, measures(content))
    script = (HERE / "report.js").read_text(encoding="utf-8")
    page = _template().render(
        title=content.settings.title or audit.folder.name,
        style=Markup((HERE / "report.css").read_text(encoding="utf-8")),  # noqa: S704 - ours
        script=Markup(script),  # noqa: S704 - ours
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        seal=Markup(OPEN.decode() + CLOSE.decode()),  # noqa: S704 - ours
        content=content,
        manifest=audit.manifest,
        made=moment(content.made),
        outcomes=[_outcome_row(outcome) for outcome in outcomes],
        overall=LEVEL_SIGNS[overall(outcomes)] if outcomes else None,
        level=overall(outcomes),
        badge=_html(verdict_words.badge(content.judged, content.role, point.indicator)),
        verdict=verdict_words.verdict_sentence(content.judged, point.indicator),
        verdict_detail=_verdict_detail(content),
        rule=decision_rule(content),
        role=content.role,
        role_name=ROLE_NAMES[content.role],
        certificate=_certificate(content),
        catches=f"{point_words.caught_sentence(content.counts)}.",
        shift_said=point_words.shift_sentence(content.counts),
        intervals=_intervals(content),
        roles=_html(audit_words.role_table(audit)),
        line_short=_html(proof_words.line_table({OWN: point}, {OWN: content.line_values[OWN]})),
        line_said=_line_said(content),
        figures=_figures(content),
        kinds=caught_by_kind(content.scores, point.strength, point.threshold, MOST_KINDS),
        line_long=_html(proof_words.line_table(content.options, content.line_values)),
        line_basis=proof_words.line_basis(content.role, *detector_rates(audit, content.role)).split(
            " The chart is"
        )[0],
        unscored_sentence=audit_words.not_scored_sentence(audit),
        unscored=content.unscored.head(MOST_UNSCORED).to_dict("records"),
        unscored_more=max(0, len(content.unscored) - MOST_UNSCORED),
        worst=parts_with_pictures(audit, point, content.settings.worst),
        panels=PANEL_NAMES,
        settings=_settings(audit),
        history=_html(proof_words.history(entries(audit))),
        command=reproduction(audit),
        limits=limits(content),
        words=OUTCOME_WORDS,
    )
    pieces = COMMAND.split(page)
    pieces[::2] = map(unbroken, pieces[::2])
    return "".join(pieces).encode()


def decision_rule(content: ReportContent) -> str:
    """What is flagged on the line, in words, and whether somebody decided so."""
    rule = point_words.rule_sentence(content.point)
    if content.chosen:
        return rule
    return f"{rule} Nobody has decided on this point yet; it is where one would begin."


def reproduction(audit: Audit) -> str:
    """The command that makes the same audit again; "" where it is not known."""
    words: Sequence[str] = audit.manifest.command
    if not words and (job := read_job(audit.folder)):
        words = job.arguments
    return shlex.join([*PROGRAM, *words]) if words else ""


def limits(content: ReportContent) -> list[str]:
    """What the report does not say."""
    role, manifest = content.role, content.audit.manifest
    said = [
        "It holds for this model file and this preprocessing, on parts like these images. After a "
        "new camera, lamp, lens, product or training it holds no longer; the guard's drift check "
        "says when the line's images have become others.",
        f"Rates are measured on {counted(content.counts.fn, 'missed photos')} and "
        f"{counted(content.counts.tn, 'good photos')} of {role}; the intervals say how little or "
        "how much that is.",
        "A photo is counted as a part in line units; proofs count groups, so that several "
        "photographs of one part are one.",
        "Labels are taken as true. A wrong label counts as a miss or a false alarm.",
        "The second look speaks only of parts that the detector calls good.",
    ]
    if content.sealed:
        names = " and ".join(content.sealed)
        said.insert(
            0,
            f"The photos kept for {names} are sealed, so this is a preview: threshold and strength "
            "were chosen on the very images that these numbers come from.",
        )
    if "train" not in manifest.counts_by_role:
        said.append(
            "No image is marked as one the detector was trained on; if some were, it looks better "
            "here than it is."
        )
    return said


def _template() -> jinja2.Template:
    loader = jinja2.FileSystemLoader(HERE)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "count": count, "percent": percent, "share": share, "number": _number, "size": _size
    }  # fmt: skip
    return environment.get_template("report.html")


def _html(text: str) -> Markup:
    """HTML of `figures`, where everything foreign is escaped already."""
    return Markup(text)  # noqa: S704 - see above


def _number(value: float) -> str:
    return "–" if math.isnan(value) else number_text(round(value, 4))


def _size(size: Sequence[int]) -> str:
    return " × ".join(str(n) for n in size)


def _verdict_detail(content: ReportContent) -> str:
    if content.point.indicator == THRESHOLD_SHIFT:
        return ""
    judged = content.judged
    said = (verdict_words.cost_sentence(judged), verdict_words.ranking_sentence(judged))
    return " ".join(said)


def _certificate(content: ReportContent) -> str:
    if content.certificate:
        price = proof_words.price_sentence(content.certificate)
        return f"{content.certificate.sentence} {price}".strip()
    names = " and ".join(content.sealed)
    return f"Nothing is proven yet: the photos kept for {names} are sealed."


def _intervals(content: ReportContent) -> str:
    """The 95 % intervals of what the point does."""
    effect, said = content.effect, []
    for name, interval in (
        ("missed photos caught", effect.fn_recall_interval),
        ("good photos re-inspected", effect.tn_loss_interval),
    ):
        if interval and not math.isnan(interval[0]) and interval[0] < interval[1]:
            said.append(f"{name} {percent(interval[0])} to {percent(interval[1])}")
    return f"95 % sure: {'; '.join(said)}." if said else ""


def _line_said(content: ReportContent) -> str:
    line = content.settings.line
    return (
        f"At {share(line.defect_rate)} defective parts, {line.parts_per_shift:,.0f} parts a shift, "
        f"{line.escape_cost:,g} for an escape and {line.reinspection_cost:,g} for a re-inspection."
    )


def _outcome_row(outcome: Outcome) -> dict[str, str]:
    sign, word = LEVEL_SIGNS[outcome.level]
    found = outcome.found
    told = "not known" if found is None else found if isinstance(found, str) else f"{found:.4g}"
    wanted = {"pass": "must hold", "warn": "warns", "fail": "fails"}[outcome.condition.level]
    return {
        "level": outcome.level, "sign": sign, "word": word, "text": outcome.condition.text,
        "wanted": wanted, "found": told,
    }  # fmt: skip


def _figures(content: ReportContent) -> dict[str, Markup]:
    """The charts as SVG, by name."""
    scores, point = content.scores, content.point
    shift_only = point.indicator == THRESHOLD_SHIFT
    points = scores.shift if shift_only else scores.curves[point.strength]
    curves = tradeoff_chart(scores.curves, scores.shift, point.strength, shift_only=shift_only)
    marks = mark_tradeoff(points, point.threshold, scores.shift)
    drawn = {
        "tradeoff": svg(
            curves, WIDTH, "Missed photos caught over good photos re-inspected, a curve for each "
            "adversarial strength; dashed: threshold shift.", marks
        ),
    }  # fmt: skip
    recall = content.settings.demand.recall
    rows = list(decide.indicator_rows(content.indicators, point.indicator, recall))
    title = f"Good photos<br>for {share(recall)}"
    drawn["indicators"] = svg(
        decide.contenders(rows, title), WIDTH, "Lead of each indicator over just lowering the "
        "decision threshold, with its 95 % interval."
    )  # fmt: skip
    kinds = caught_by_kind(scores, point.strength, point.threshold, MOST_KINDS)
    if kinds:
        drawn["kinds"] = svg(
            kind_bars(kinds), WIDTH, "Missed photos by kind: caught, and still missed."
        )
    return {name: _html(text) for name, text in drawn.items()}


def _settings(audit: Audit) -> list[tuple[str, str]]:
    """Names and values of how the audit was made."""
    manifest = audit.manifest
    settings, model = manifest.settings, manifest.model
    preprocessing, data = model.preprocessing, manifest.data
    threshold = settings.decision_threshold
    called = "the largest output" if threshold is None else f"p {threshold:g}"
    rows = [
        ("Model", f"{Path(model.path).name or '(from Python)'}, {model.architecture}"),
        ("Called defective from", called),
        ("Input", f"{_size(preprocessing.size)} pixels, {preprocessing.resize}, "
                  f"{preprocessing.interpolation}, {preprocessing.channels}"),
        ("Mean; standard deviation", f"{_list(preprocessing.mean)}; {_list(preprocessing.std)}"),
        ("Layer", f"{manifest.layer}, {_size(manifest.grid)} cells"),
        ("Maps", f"{_list(settings.specific)} with {_list(settings.agnostic)}"),
        ("Mask", manifest.mask),
        ("Strengths ε (in 1/255)", f"{_list(settings.strengths)}, {settings.direction}, "
                                   f"{settings.pgd_steps} step(s)"),
        ("Data", f"{data.source or data.root} ({data.layout})"),
        ("Good is", _list(data.good) or "as the table says"),
        ("Precision", settings.precision),
        ("Machine", manifest.machine),
        ("Computed", f"{moment(manifest.created)}, {counted(manifest.timings.images, 'images')} in "
                     f"{duration(manifest.timings.seconds)}"),
        ("Versions", ", ".join(f"{name} {v}" for name, v in manifest.libraries.items())),
    ]  # fmt: skip
    return [(name, value) for name, value in rows if value]


def _list(values: Sequence[object]) -> str:
    return ", ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in values)
