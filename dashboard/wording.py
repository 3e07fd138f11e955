"""The core's sentences as a web page says them: fields in the place of command-line options.

The core speaks to a terminal, where `--size` can be typed. Who reads a page has fields instead, and
need not know what a BatchNorm layer is.
"""

import re

FIELDS = {  # option: the field of the Run page
    "agnostic": "Map for any class",
    "arch": "Take it as another architecture",
    "argmax": "Decide by the largest output instead",
    "channels": "Channels",
    "decision-threshold": "Decision threshold",
    "defect-index": "What the outputs mean",
    "direction": "Nudged",
    "encoder": "Encoder",
    "epochs": "At most so many passes",
    "good": "Which folders hold good parts?",
    "good-index": "What the outputs mean",
    "group-column": "Several photos of one part?",
    "group-pattern": "Several photos of one part?",
    "interpolation": "Interpolation",
    "layer": "Layer that is explained",
    "lr": "Learning rate",
    "mask": "Mask of a map",
    "mean": "Mean",
    "one-logit": "What the outputs mean",
    "out": "Name of the audit",
    "pgd": "Steps of the nudge",
    "resize": "Resize",
    "samples": "Labels come from",
    "size": "Size",
    "specific": "Map for one class",
    "std": "Standard deviation",
    "strengths": "Adversarial strengths",
}
MEANING = r"--(?:defect-index|good-index|one-logit)"
# How some sentences of the core begin; others begin with the name of a file or an audit.
SMALL = re.compile(r"(a|cannot|check|decision|direction|mask|strength|there)\b[^/.]")
PHRASES = (  # what the core says, and what the page says
    (r"\S*/uploads/[0-9a-f]{16}/", ""),  # where an upload lies means nothing to who dropped it
    (r"name it with --arch, or hand your module to the library", "name its architecture below"),
    (r"--arch says (\S+);", r"you chose \1;"),
    (r"--arch NAME chooses", "choose one under “Details, or another architecture”"),
    (r"with --arch (\S+)", r"with the architecture \1"),
    (rf"; try {MEANING} [\w,]+", "; change in step 1 what they mean"),
    (rf": say which mean good, e\.g\. {MEANING} \S+\.", ": say in step 1 which of them mean good."),
    ("The class convention looks inverted", "The outputs look swapped"),
    ("the class convention", "what the outputs mean"),
    (r"--good (.+?): there is no such", r"“\1” was named as good, but there is no such"),
    (r"Name every good one, as in --good NAME;", "Name every good one;"),
    (r"--good (.+?) was not used", r"“\1” as the names of good parts was not used"),
    (r"(?:in a table )?with --samples CSV", "in a table (CSV)"),
    (r"give --samples CSV", "drop a table (CSV) of paths and labels"),
    (r": add --samples CSV", "; choose one"),
    (r"; --samples uses the", "; “Labels come from” can take"),
    (
        r"Give either --group-column or --group-pattern",
        "Several photos of one part: give a column or a piece of the path",
    ),
    (r"name it with --group-pattern or --group-column", "say so at “Several photos of one part?”"),
    (r"--group-column names a column of a table", "The column that names the part is in a table"),
    (r"--group-column (\S+): (\S+) has", r"\2, which should name the part in “\1”, has"),
    (r"--group-pattern ('.*') is not", r"\1, which should find the part in the path, is not"),
    (
        r"Then name them train \(--roles FILE\)",
        "Then name them at “Seen in training?”",
    ),
    (r"give a smaller --window", "give a smaller window"),
    (r"; --objective label learns from", "; “the label alone” learns from"),
    (r", or say by --roles FILE which", ", or say at “Seen in training?” which"),
    (r"in the table or by --roles FILE", "in the table or at “Seen in training?”"),
    (r"--weights imagenet needs", "Beginning with ImageNet weights needs"),
    (r", or leave --weights out", ", or begin without them"),
    (r"--weights imagenet is", "What the ImageNet weights are of is"),
    (r"choose --encoder (\S+), or give --weights FILE", r"choose the encoder \1"),
    (r"--out (\S+): name a file", r"\1: name a file"),
    (r"name another --out, or delete", "choose another name, or delete"),
    (r"delete the folder to begin anew, or name another --out", "or choose another name"),
    (r"name an --out with room and rights", "make room there, or see to the rights"),
    (r"name a folder with room and rights by --out", "make room there, or see to the rights"),
    (r"name (another folder|an empty or a new folder) by --out", "give the audit another name"),
    (r"cannot be \(([\d.]+),\)", r"cannot be \1"),
    (r"--mean (\S+) --std (\S+)", r"“Mean” \1 and “Standard deviation” \2"),
    (
        r"The inputs of the BatchNorm layers are ([\d.]+) standard deviations from their training "
        r"means",
        r"Inside the network these images are \1 away from those it was trained on",
    ),
    (
        r"The BatchNorm statistics agree clearly better with (.+): ([\d.]+) standard deviations "
        r"from training instead of",
        r"The images fit the network clearly better with \1: \2 away from what it was trained on, "
        r"instead of",
    ),
    (
        r"The BatchNorm statistics are ([\d.]+) standard deviations from training",
        r"Inside the network these images are \1 away from those it was trained on",
    ),
    (
        r"on the images its BatchNorm layers are ([\d.]+) standard deviations from training",
        r"with it, the images are \1 away from those it was trained on",
    ),
)


def worded(sentence: str) -> str:
    """A sentence of the core in the words of the page.

    >>> worded("check --size and --channels")
    'Check “Size” and “Channels”.'
    """
    for said, instead in PHRASES:
        sentence = re.sub(said, instead, sentence)
    sentence = re.sub(r"(?<![\w/.-])--([a-z-]+)", _field, sentence)
    if SMALL.match(sentence):
        sentence = sentence[0].upper() + sentence[1:]
    ends_open = sentence[-1:].isalnum() or sentence.endswith(("”", ")"))
    return f"{sentence}." if ends_open and "\n" not in sentence else sentence


def _field(option: re.Match[str]) -> str:
    label = FIELDS.get(option[1])
    return f"“{label}”" if label else option[0]
