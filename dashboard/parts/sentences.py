"""What is said of photos on Parts: finding, tiles, panels, facts; sentences and escaped HTML."""

import math
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

import pandas as pd

from trust_core.decision.indicators.registry import INDICATOR_NAMES
from trust_core.decision.journal import Dispute
from trust_core.decision.label_review import BOTH, DETECTOR, READER, LabelDoubt
from trust_core.decision.operating_point import OperatingPoint
from trust_core.decision.part_filter import Filters, PartCounts
from trust_core.figures.elements import GREY, OUTCOME_COLOURS
from trust_core.figures.overlays import LINES, RAMPS, SIDES_OWN, css_gradient, ramp
from trust_core.figures.part_maps import DATA_SCALE, OWN_SCALE, PART_SCALE
from trust_core.figures.words.numbers import (
    OUTCOME_NAMES,
    ROLE_NAMES,
    counted,
    moment,
    percent,
)
from trust_core.figures.words.point import caught_sentence
from trust_core.messages import threshold_text
from trust_core.storage.audit_files import Audit

if TYPE_CHECKING:
    from trust_core.audit.gradcam_check import GradcamCheck
    from trust_core.audit.probe_explanation import ProbeExplanation
    from trust_core.decision.indicators.probe_reading import DepthReading

Row = Mapping[str, Any]
DASH = "–"
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")
# Colour, symbol and word: an outcome is never told by one of them alone.
OUTCOME_SYMBOLS = {"FN": "▲", "TN": "●", "TP": "◆", "FP": "✕", "": "?"}
FLAG = "⚑"


def grid_finding(
    point: OperatingPoint, filters: Filters, number: PartCounts, seal: str
) -> tuple[str, str]:
    """The sentence on top of the grid, and what stands below it.

    Args:
        point: the operating point.
        filters: what the grid is narrowed to.
        number: of the parts they leave.
        seal: who opened the images that are shown; "" when they had no seal.
    """
    name = INDICATOR_NAMES.get(point.indicator, point.indicator)
    at = f"{name} at least {threshold_text(point.threshold)}"
    at += f", adversarial strength ε = {point.strength:g}"
    if filters.show == "changed" and filters.before is not None:
        moved = _movement(filters.before, point)
        sentence = f"{moved} changes the side of {counted(number.shown['changed'], 'photos')}."
        moves = (
            (number.gained_fn, "missed photos", "newly flagged"),
            (number.gained_tn, "good photos", "newly flagged"),
            (number.lost_fn, "missed photos", "no longer flagged"),
            (number.lost_tn, "good photos", "no longer flagged"),
        )
        told = [f"{counted(parts, what)} {verb}" for parts, what, verb in moves if parts]
        return sentence, f"{'; '.join(told)} ({at})." if told else f"({at})"
    if not number.shown["all"]:
        return "No photo is like that.", ""
    if not number.flags.fn + number.flags.tn:
        return "None of these photos was called good, so none can be flagged.", ""
    caught = caught_sentence(number.flags)
    whole = not (filters.kind or filters.group or filters.search or filters.contra)
    among = "" if whole else "Among the photos chosen below: "
    key = "Below each picture: that score, and p, the defect probability."
    return f"{among}{caught}.", f"Flagged when: {at}. {key} {seal}"


def _movement(before: OperatingPoint, point: OperatingPoint) -> str:
    """What is other than at the earlier operating point; the threshold when nothing is."""
    name = INDICATOR_NAMES.get(before.indicator, before.indicator)
    changes = {
        "the indicator": (name, INDICATOR_NAMES.get(point.indicator, point.indicator)),
        "the adversarial strength": (f"{before.strength:g}", f"{point.strength:g}"),
        "the flagging threshold": (
            threshold_text(before.threshold),
            threshold_text(point.threshold),
        ),
    }
    other = {what: both for what, both in changes.items() if both[0] != both[1]}
    told = other or {"the flagging threshold": changes["the flagging threshold"]}
    moves = [f"{what} from {earlier} to {now}" for what, (earlier, now) in told.items()]
    return f"Moving {' and '.join(moves)}"


def tile_caption(row: Row, reason: str, disputed: bool) -> str:
    """The words of a tile: outcome, score, whether it is flagged; or why there is no picture."""
    if reason:
        second = f'<span class="reason" title="{escape(reason)}">{escape(reason)}</span>'
    else:
        score = f"score {signed(float(row['indicator']))} · " if row["passed"] else ""
        second = f"<span>{score}p {percent(float(row['p_defect']))}</span>"
    wrong = '<span class="disputed">label disputed</span>' if disputed else ""
    marks = flag_html(bool(row["flagged"])) + wrong
    return f"{outcome_html(row['outcome'])}{second}<span>{marks}</span>"


def file_name(path: str) -> str:
    """The name of the file on a tile, its path behind it, as HTML."""
    name = escape(path.rsplit("/", 1)[-1])
    return f'<span class="file-name" title="{escape(path)}">{name}</span>'


def outcome_html(outcome: str) -> str:
    """The outcome with its symbol, in its colour."""
    colour = OUTCOME_COLOURS.get(outcome, GREY)
    return (
        f'<span class="outcome"><i style="color:{colour}">{OUTCOME_SYMBOLS[outcome]}</i>'
        f"{escape(OUTCOME_NAMES[outcome].capitalize())}</span>"
    )


def flag_html(flagged: bool) -> str:
    """The mark of a flagged part; nothing for another."""
    colour = OUTCOME_COLOURS["flagged"]
    mark = f'<i style="color:{colour}">{FLAG}</i>flagged'
    return f'<span class="flag" title="flagged for re-inspection">{mark}</span>' * flagged


def label_text(row: Row) -> str:
    """The label as the data gives it: `good`, or `defective (crack)`."""
    kind = f" ({row['kind']})" if row["kind"] else ""
    return f"defective{kind}" if row["label"] else "good"


def dispute_text(row: Row, entry: Dispute) -> str:
    """What a label was called wrong for, as HTML."""
    other = "good" if row["label"] else "defective"
    return (
        f"labelled {escape(label_text(row))}, would be {other}: “{escape(entry.note)}” – "
        f"{escape(entry.who)}, {escape(moment(entry.when))}"
    )


def outcome_counts(outcomes: Mapping[str, int]) -> str:
    """Photos by outcome, as an HTML list."""
    items = "".join(
        f"<li>{outcome_html(name)} <b>{number:,}</b></li>" for name, number in outcomes.items()
    )
    return f'<ul class="outcome-counts">{items}</ul>'


AGAINST_NAMES = {
    BOTH: "both readers against it",
    READER: "second reader against it, detector sure of it",
    DETECTOR: "detector against it, second reader sure of it",
}


def doubt_caption(doubt: LabelDoubt) -> str:
    """The words of a doubted label below its picture, as HTML."""
    label = label_text({"label": doubt.label, "kind": doubt.kind})
    return (
        f'<span><b>Labelled {escape(label)}</b></span><span class="reason">'
        f"{AGAINST_NAMES[doubt.against]}</span>"
        f"<span>detector {percent(doubt.detector)} against</span>"
        f"<span>second reader {percent(doubt.reader)} against</span>"
    )


def signed(value: float) -> str:
    """A number from −1 to 1 with its sign; a dash for none."""
    return DASH if math.isnan(value) else f"{value:+.2f}".replace("-", "−")


def part_finding(row: Row) -> tuple[str, str]:
    """The sentence on top of an open part, and what stands below it."""
    p = f"defect probability of {percent(float(row['p_defect']))}"
    what = f" ({row['kind']})" if row["kind"] else ""
    told = {
        ("FN", True): f"A missed defect{what} that is flagged: called good at a {p}, but sent to "
        "re-inspection.",
        ("FN", False): f"A missed defect{what} that stays missed: called good at a {p}, and not "
        "flagged.",
        ("TN", True): f"A good part that is flagged: called good at a {p}, and yet sent to "
        "re-inspection.",
        ("TN", False): f"A good part that passes: called good at a {p}, and not flagged.",
        ("TP", False): f"A caught defect{what}: called defective at a {p}.",
        ("FP", False): f"A false alarm: a good part called defective at a {p}.",
    }
    sentence = told.get((row["outcome"], bool(row["flagged"])), "This photo could not be read.")
    return sentence, str(row["path"])


def panel_words(score: Row, truth: str) -> dict[str, tuple[str, str]]:
    """Title and sentence of each picture; `truth` says what is known of the true defect."""
    return {
        "photo": ("Photograph", truth),
        "defect": ("Defect map", _overlap("Evidence for a defect", float(score["iou_defect"]))),
        "good": ("Good map", _overlap("Evidence for a good part", float(score["iou_good"]))),
        "agnostic": ("Where it looks", "Where the network looks at all, whatever it decides."),
    }


def _overlap(what: str, share: float) -> str:
    if math.isnan(share):
        return f"{what}; no overlap can be measured."
    return f"{what}; overlaps {percent(share)} with where it looks."


def overlap_sentence(score: Row) -> str:
    """Δ with both overlaps, as HTML."""
    at = f"at adversarial strength ε = {score['strength']:g}"
    if math.isnan(float(score["iou_difference"])):
        return (
            f"No IoU difference {at}: {escape(str(score['status']))}. A photo without a score is "
            "always flagged."
        )
    defect, good = float(score["iou_defect"]), float(score["iou_good"])
    return (
        f"The defect map overlaps <b>{percent(defect)}</b> with where the network looks; the good "
        f"map <b>{percent(good)}</b>. IoU difference Δ = {defect:.2f} − {good:.2f} = "
        f"<b>{signed(float(score['iou_difference']))}</b> {at}. "
        '<span class="parts-note">Overlap: area in both masks, of the area in either.</span>'
    )


def line_legend() -> str:
    """What the lines mean; each has its own style, not only a colour."""
    items = [
        (_line("truth"), "true defect"),
        (_line("defect"), "defect mask"),
        (_line("good"), "good mask"),
        (_line("agnostic", "dashed"), "where it looks"),
        ('<i class="both"></i>', "in both"),
    ]
    spans = "".join(f"<span>{picture}{text}</span>" for picture, text in items)
    return f'<div class="line-legend">{spans}</div>'


def _line(name: str, style: str = "solid") -> str:
    red, green, blue = LINES[name]
    return f'<i><b style="border-top:3px {style} rgb({red},{green},{blue})"></b></i>'


SCALE_NAMES = {
    PART_SCALE: "One for both classes",
    OWN_SCALE: "Each map its own",
    DATA_SCALE: "The data set's",
}
COLOUR_NAMES = {SIDES_OWN: "A hue for each map", "viridis": "Viridis", "inferno": "Inferno"}


def map_legend(end: float, side: str, scale: str, colours: str) -> str:
    """The colour scale of a map: from 0 to its end, and what that is."""
    shared = scale == PART_SCALE and side != "agnostic"
    told = {
        PART_SCALE: "The defect map and the good map share it: the strongest cell of both is "
        "its end."
        if shared
        else "Its own strongest cell is its end.",
        OWN_SCALE: "Each map has its own: the strongest cell is its end. Two maps cannot be "
        "compared by their colour.",
        DATA_SCALE: "One for the whole data set: 1 in 200 cells lies above its end.",
    }[scale]
    more = " and more" if scale == DATA_SCALE else ""
    return (
        f'<div class="scale" title="{told}"><span>0</span>'
        f'<i style="background:{css_gradient(ramp(side, colours))}"></i>'
        f"<span>{end:.2g}{more}</span></div>"
    )


def probe_legend() -> str:
    """The colour scale of a probe's map: from 0 to its own strongest cell."""
    return (
        '<div class="scale" title="Each photo has its own scale: the strongest cell is its end.">'
        f'<span>0</span><i style="background:{css_gradient(RAMPS["probe"])}"></i>'
        "<span>strongest</span></div>"
    )


def probe_words(reading: "DepthReading") -> str:
    """Which depth the map of a probe is from."""
    return (
        f"What speaks for a defect at depth {reading.depth + 1} of {reading.depths} "
        f"({reading.layer})."
    )


def probe_sentences(found: "ProbeExplanation", called_defective: bool) -> tuple[str, str]:
    """Whether a depth sees a defect and the final answer does; how much of its score the map is."""
    reading, shown = found.reading, found.map
    ordinal = ORDINALS[reading.depth] if reading.depth < len(ORDINALS) else f"{reading.depth + 1}th"
    depth = f"the {ordinal} of {counted(reading.depths, 'depths')}"
    higher = f"higher than {percent(reading.louder)} of the good photos for choosing"
    answer = "so does the final answer" if called_defective else "the final answer does not"
    told = (
        f"{depth.capitalize()} sees a defect here ({higher}); {answer}."
        if reading.sees_defect
        else f"No depth of the network sees a defect here: the loudest, {depth}, scores {higher}."
    )
    score = f"{shown.score:+.1f}".replace("-", "−")
    seen = " This probe has seen the photo, which is one for choosing." if reading.seen else ""
    share = (
        f"The map of the second reading adds up to {percent(shown.explained)} of that depth's "
        f"score ({score} standard deviations from good photos, ε = 0): {percent(shown.exact)} of "
        f"it exactly, the rest by gradient.{seen}"
    )
    return told, share


def gradcam_verdict(audit: Audit, check: "GradcamCheck") -> str:
    """Whether the maps of this audit and of the package are the same, as HTML."""
    told = "Both give the same maps." if check.agrees else "The maps differ."
    apart = "under 0.01 %" if check.largest < 1e-4 else f"{100 * check.largest:.2f} %"
    why = " This audit keeps its maps in half precision, which rounds by up to 0.05 %."
    return (
        f"<b>{told}</b> The largest difference of a cell is {apart} of the largest value "
        f"({escape(check.form)} at ε = 0, layer {escape(audit.manifest.layer)})."
        f"{why if check.agrees else ''}"
    )


def strip_heading(passed: bool, strengths: int, direction: str) -> str:
    """Heading of the pictures of all strengths, as HTML."""
    way = "a good part" if direction == "toward_good" else "a defect"
    told = (
        f"Every pixel nudged a little towards {way}, in {counted(strengths, 'strengths')} ε "
        "(steps of 1/255): how the masks move."
        if passed
        else "Called defective, so measured at ε = 0 only: further strengths are for photos called "
        "good."
    )
    return f'<h3 class="part-heading">Adversarial strengths <small>{told}</small></h3>'


def strip_caption(score: Row) -> str:
    """The words below one strength, as HTML."""
    p = 1 / (1 + math.exp(-max(-700.0, min(700.0, float(score["log_odds"])))))
    return (
        f"<span><b>ε = {score['strength']:g}</b></span>"
        f"<span>Δ {signed(float(score['iou_difference']))} · p {percent(p)}</span>"
    )


def group_heading(photos: pd.DataFrame, shown: int) -> str:
    """Heading of the photos of a group, as HTML."""
    flagged, total = int(photos["flagged"].sum()), len(photos)
    told = f"{counted(total, 'photos')} of one physical part or lot; {flagged or 'none'} flagged"
    told += f"; the first {shown} are here" if shown < total else ""
    name = escape(str(photos["group"].iloc[0]))
    return f'<h3 class="part-heading">Group {name} <small>{told}.</small></h3>'


def part_facts(audit: Audit, row: Row, point: OperatingPoint) -> str:
    """What is known of the part, as an HTML list of terms."""
    p = float(row["p_defect"])
    threshold = audit.manifest.settings.decision_threshold
    rule = "by the largest output" if threshold is None else f"defective from {percent(threshold)}"
    decided = {"1": "defective", "0": "good"}.get(str(row["predicted"]), "none")
    score = float(row["indicator"])
    side = "flagged" if row["flagged"] else "not flagged"
    told = f"{signed(score) if row['passed'] else DASH}"
    name = INDICATOR_NAMES.get(point.indicator, point.indicator)
    tau = threshold_text(point.threshold)
    at = f"{name}, ε = {point.strength:g}; {side} at a threshold of {tau}"
    group = "its own" if row["group"] == row["sample_id"] else str(row["group"])
    terms = {
        "Label": label_text(row),
        "Detector says": f"{decided} ({rule})",
        "Defect probability": DASH if math.isnan(p) else f"{100 * p:.1f} %",
        "Score": f"{told} ({at})" if row["passed"] else f"{DASH} (only for photos called good)",
        "Group": group,
        "Role": f"{row['role']}, {ROLE_NAMES.get(row['role'], '')}",
        "File": str(row["path"]),
        "sha256": str(row["sha256"]),
        "Status": " – ".join(filter(None, (str(row["status"]), str(row["reason"])))),
    }
    items = "".join(f"<dt>{term}</dt><dd>{escape(text)}</dd>" for term, text in terms.items())
    return f'<dl class="part-facts">{items}</dl>'
