"""What the words of the pages mean, once for the glossary and for every help mark; and choices."""

from dataclasses import dataclass

ROLE_CHOICES = {
    "tune": "Tune – for choosing",
    "certify": "Certify – sealed",
    "test": "Test – sealed",
    "all": "All three",
}


@dataclass(frozen=True)
class Term:
    """A word that pages use, and what it means.

    Attributes:
        name: in the glossary.
        meaning: one sentence or two.
        said: how pages say it, a regular expression of lower case; "" for what the glossary alone
            explains.
    """

    name: str
    meaning: str
    said: str = ""


# By key; an indicator has its own. Where two begin alike, the longer stands first.
TERMS = {
    "photo": Term(
        "Photo, part",
        "A photo is one picture; a part is the physical thing, of which there may be several.",
    ),
    "missed": Term(
        "Missed defect",
        "A defective part that the detector calls good. It leaves the building without an alarm.",
        r"missed (?:defects?|photos?|parts?)",
    ),
    "false_alarm": Term(
        "False alarm", "A good part that the detector calls defective.", r"false alarms?"
    ),
    "probability": Term(
        "Defect probability, p",
        "How sure the detector itself is that a part is defective.",
        r"defect probability",
    ),
    "decision_threshold": Term(
        "Decision threshold",
        "The detector calls a part defective from this defect probability on.",
        r"decision threshold",
    ),
    "heatmap": Term(
        "Heatmap",
        "Where on the photo the detector finds evidence: for a defect, for a good part, or of any "
        "kind. Its strongest area, outlined, is its mask.",
        r"heatmaps?|defect map|good map",
    ),
    "combination": Term(
        "Evidence and IoU difference combined",
        "The detector's own evidence for a defect and the IoU difference, added with weights that "
        "were learnt on the photos for choosing.",
        r"evidence and iou difference combined",
    ),
    "consensus_blind": Term(
        "Consensus without heatmaps",
        "The same sum as the consensus, without the IoU difference.",
        r"consensus without heatmaps",
    ),
    "consensus": Term(
        "Consensus",
        "The detector's own evidence, the IoU difference and the distance from good parts, added "
        "with fixed weights: nothing is learnt from misses.",
        r"consensus(?: of evidence, iou difference and features)?",
    ),
    "probe_combination": Term(
        "Evidence and second reading",
        "The detector's own evidence for a defect and the second reading, added with fixed "
        "weights.",
        r"evidence and second reading(?: of the activations)?",
    ),
    "probe": Term(
        "Second reading, probe",
        "What the inner layers of the network know of a defect, whatever its final answer. A small "
        "reader at each depth, a probe, learns it from the photos for choosing.",
        r"second reading(?: of the activations)?|second reader|probes?",
    ),
    "iou_difference": Term(
        "IoU difference, Δ",
        "Overlap of the defect map with where the detector looks at all, minus that of the good "
        "map. Higher is more suspicious.",
        r"iou difference|δ",
    ),
    "iou": Term(
        "Overlap, IoU",
        "How far two masks agree: the area in both, of the area in either.",
        r"iou",
    ),
    "mask_alarm": Term(
        "Alarm of the predicted mask",
        "The largest mean probability of the predicted mask over any window of 0.1 % of the "
        "photo. It asks whether the mask sees what the decision missed.",
        r"alarm of the predicted mask",
    ),
    "evidence_mass": Term(
        "Concentration of the evidence",
        "How much of the pixel evidence for a defect lies in its strongest twentieth. A defect "
        "speaks from few places.",
        r"concentration of the evidence",
    ),
    "mask": Term(
        "Predicted mask",
        "Where the network, or its heatmap, reaches the mask threshold; the true mask is what the "
        "data marks as the defect.",
        r"predicted mask|mask threshold",
    ),
    "tau": Term(
        "Flagging threshold, τ",
        "A photo called good whose score is at least this is flagged: its part is sent to "
        "re-inspection.",
        r"flagging threshold|τ",
    ),
    "eps": Term(
        "Adversarial strength, ε",
        "Before it is scored, every pixel is nudged so that the part looks a little more defective "
        "to the detector; by how much, in steps of 1/255. 0 is the photo as it is.",
        r"adversarial strengths?|ε|(?:at )?strength",
    ),
    "p_defect": Term(
        "Threshold shift",
        "The rival that costs nothing: just lowering the decision threshold, so that what has the "
        "highest defect probability is looked at again. Every verdict is against it.",
        r"threshold shift",
    ),
    "point": Term(
        "Operating point",
        "The indicator, its flagging threshold and its strength: what decides who is looked at "
        "again.",
        r"operating point",
    ),
    "bits": Term(
        "Evidence, bits",
        "How far a piece of the photo moves the detector's odds, for a defect (+) or for a good "
        "part (−): one bit doubles them.",
        r"bits?",
    ),
    "group": Term("Group", "All photos of one physical part or lot.", r"groups?"),
    "roles": Term(
        "Tune, certify, test",
        "Photos for choosing the threshold, for proving it, for the final report. The last two are "
        "sealed.",
        r"tune|certify|test",
    ),
    "seal": Term(
        "Seal",
        "Sealed photos stay unseen while the threshold is chosen. Who opens a seal is noted, with "
        "time and reason.",
        r"seals?|sealed",
    ),
    "indicator": Term(
        "Indicator",
        "A number for each photo called good: the higher, the more suspicious. The IoU difference "
        "is one.",
        r"indicators?",
    ),
    "interval": Term(
        "95 % interval, 95 % sure",
        "Where the true value lies, as far as so few parts can tell: such a range holds it 19 "
        "times out of 20.",
        r"(?:\d+\s)?% sure|(?:\d+\s)?(?:% )?intervals?",
    ),
    "recall": Term("Recall", "The share of the missed defects that are flagged.", r"recall"),
    "escape": Term("Escape", "A defective part that leaves the building.", r"escapes?"),
    "guard": Term(
        "Guard",
        "What runs on the line: network, indicator and threshold in one folder. It decides each "
        "photo as the audit would.",
        r"guard",
    ),
    "drift": Term(
        "Drift",
        "The line's photos have become others than those that were audited.",
        r"drift",
    ),
    "auroc": Term(
        "Pairs ranked right, AUROC",
        "Of all pairs of a missed and a good photo, the share in which the missed one has the "
        "higher score: 50 % is guessing.",
        r"auroc|pairs ranked right",
    ),
    "augrc": Term(
        "AURC, AUGRC",
        "What is still missed among the photos that are not flagged, over all thresholds; lower is "
        "better.",
        r"augrc|aurc",
    ),
    "average_precision": Term(
        "Average precision",
        "The share of missed defects among the flagged photos, over all thresholds; 1 is perfect.",
        r"average precision",
    ),
}
