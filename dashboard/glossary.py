"""What the words of the pages mean: choices, help beside controls, and the glossary."""

ROLE_CHOICES = {
    "tune": "Tune – for choosing",
    "certify": "Certify – sealed",
    "test": "Test – sealed",
    "all": "All three",
}

HELP = {
    "tau": "The flagging threshold: a part called good whose score is at least this high is sent "
    "to re-inspection.",
    "eps": "The adversarial strength: how far every pixel is nudged, in steps of 1/255, before the "
    "detector is asked again.",
    "iou_difference": "Where the detector would look for a defect, compared with where it looks at "
    "all, minus the same for a good part. Higher is more suspicious.",
    "p_defect": "The detector's own probability that the part is defective.",
    "evidence_mass": "How much of the pixel evidence for a defect lies in its strongest twentieth. "
    "A defect speaks from few places.",
    "mask_alarm": "The largest mean probability of the predicted mask over any window of 0.1 % of "
    "the part: does the mask see what the decision missed?",
}

GLOSSARY = {
    "Missed defect": "A defective part that the detector calls good.",
    "False alarm": "A good part that the detector calls defective.",
    "Defect probability, p": "How sure the detector itself is that a part is defective.",
    "Decision threshold": "The detector calls a part defective from this defect probability on.",
    "Heatmap": "Where on the photograph the detector finds evidence: for a defect, for a good "
    "part, or of any kind. Its strongest area, outlined, is its mask.",
    "Overlap, IoU": "How far two masks agree: the area in both, of the area in either.",
    "IoU difference, Δ": "Overlap of the defect map with where the detector looks at all, minus "
    "that of the good map. Higher is more suspicious.",
    "Flagging threshold, τ": "A part called good whose score is at least this is flagged: sent to "
    "re-inspection.",
    "Adversarial strength, ε": "Before it is scored, every pixel is nudged so that the part looks "
    "a little more defective to the detector; by how much, in steps of 1/255. 0 is the photograph "
    "as it is.",
    "Predicted mask": "Where the network, or its heatmap, reaches the mask threshold; the true "
    "mask is what the data marks as the defect.",
    "Threshold shift": "The rival that costs nothing: just lowering the decision threshold, so "
    "that what has the highest defect probability is looked at again. Every verdict is against it.",
    "Operating point": "The flagging threshold and the strength that you chose.",
    "Evidence, bits": "How far a piece of the photograph moves the detector's odds, for a defect "
    "(+) or for a good part (−): one bit doubles them.",
    "Group": "All photographs of one physical part or lot.",
    "Tune, certify, test": "Images for choosing the threshold, for proving it, for the final "
    "report. The last two are sealed: who opens them is noted.",
}
