"""The options of an audit and of a training run, each declared once.

The parser of the command line, the fields of the Run page and what they mean, the command that the
page shows and the names that sentences use are all read from `OPTIONS`. A setting that is not
declared here can be set from Python only. Nothing heavy is imported: `--help` answers at once.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trust_core.errors import SettingsError
from trust_core.messages import Message, flag, option
from trust_core.model.preprocessing import CHANNELS, INTERPOLATIONS

if TYPE_CHECKING:
    from trust_core.audit.settings import AuditSettings
    from trust_core.model.facts import ModelOptions


def number(text: str) -> float:
    """One number."""
    try:
        return float(text)
    except ValueError:
        raise ValueError("no number") from None


def numbers(text: str) -> tuple[float, ...]:
    """Numbers separated by commas, semicolons or spaces."""
    try:
        return tuple(float(part) for part in re.split(r"[,;\s]+", text))
    except ValueError:
        raise ValueError("no list of numbers") from None


def whole(text: str) -> int:
    """A whole number."""
    try:
        return int(text)
    except ValueError:
        raise ValueError("no whole number") from None


def positive(text: str) -> int:
    """A whole number, 1 or more."""
    if (found := whole(text)) < 1:
        raise ValueError("less than 1")
    return found


def size(text: str) -> tuple[int, int]:
    """`192x256` (height x width), or `224` for a square."""
    found = re.fullmatch(r"(\d{1,5})(?:\s*[x×, ]\s*(\d{1,5}))?", text.casefold())
    if not found:
        raise ValueError("no size")
    return int(found[1]), int(found[2] or found[1])


def names(text: str) -> tuple[str, ...]:
    """Names separated by commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def indices(text: str) -> tuple[int, ...]:
    """Whole numbers separated by commas."""
    return tuple(whole(part) for part in text.split(","))


@dataclass(frozen=True)
class Option:
    """An option: what its text means, and what it is called where.

    Attributes:
        name: the setting that it makes: a field of `ModelOptions`, `DataOptions`, `AuditSettings`
            or `TrainingSettings`.
        parse: its value from a text, stripped; raises ValueError with what the text is. `bool`: it
            is there or not, without a text.
        example: a text that means something.
        flag: on the command line, without dashes; the name when empty.
        key: of its field in the address of the Run page; "" when the page has no such field.
        label: what the page calls its field; "" when it has none.
        choices: all that it may be, with the page's word for each.
        several: takes one or more words instead of one.
        instead_of: name of an option that cannot be given together with it.
        required: whether it has to be given.
        metavar: what stands for its value in `--help`.
        help: what it is, in a sentence or less.
    """

    name: str
    parse: Callable[[str], Any] = str
    example: str = ""
    flag: str = ""
    key: str = ""
    label: str = ""
    choices: Mapping[str, str] = field(default_factory=dict)
    several: bool = False
    instead_of: str = ""
    required: bool = False
    metavar: str | None = None
    help: str = ""

    @property
    def spelling(self) -> str:
        """Its flag on the command line: `--size`."""
        return flag(self.flag or self.name)

    def value(self, text: str) -> Any:  # noqa: ANN401 - of the type that `parse` makes
        """The value that a text stands for.

        Raises:
            ValueError: it stands for none; with the reason.
        """
        text = text.strip()
        if self.choices and text not in self.choices:
            raise ValueError(f"{text[:60]!r} is none of {', '.join(self.choices)}")
        try:
            return self.parse(text)
        except ValueError as reason:
            raise ValueError(f"{text[:60]!r} is {reason}; write e.g. {self.example}") from None

    def read(self, text: str) -> Any:  # noqa: ANN401 - of the type that `parse` makes
        """The value that a text stands for, with an error for the reader.

        Raises:
            SettingsError: the text stands for no value.
        """
        try:
            return self.value(text)
        except ValueError as reason:
            message = Message(
                "{option}: {reason}.", option=option(self.flag or self.name), reason=reason
            )
            raise SettingsError(message) from None

    def text(self, value: object) -> str:
        """A text that is read back as this value."""
        if isinstance(value, tuple):
            return ("x" if self.parse is size else ",").join(map(self.text, value))
        short = f"{value:g}" if isinstance(value, float) else ""
        return short if short and float(short) == value else str(value)

    def words(self, value: Any) -> list[str]:  # noqa: ANN401 - of the type that `parse` makes
        """What says this value on the command line."""
        if self.parse is bool:
            return [self.spelling] if value else []
        if value in (None, ()):
            return []
        if self.several:
            return [self.spelling, *value]
        return [f"{self.spelling}={self.text(value)}"]  # one word: a value may begin with a dash


def plain_choices(words: Iterable[str]) -> dict[str, str]:
    """Choices that the page calls as the command line does."""
    return {word: word for word in words}


SHARES_FOR_PROOF = {
    "auto": "half, if both can then do their job",
    "half": "half of those for choosing",
    "none": "none",
}
MEANING, PARTS = "What the outputs mean", "Several photos of one part?"
PIXELS = (  # of an audit and of training
    Option(
        "size",
        size,
        "224 or 192x256",
        key="size",
        label="Size",
        metavar="HxW",
        help="Height x width in pixels, as 224 or 192x256.",
    ),
    Option(
        "channels",
        choices=plain_choices(CHANNELS),
        key="channels",
        label="Channels",
        help="As the network sees them.",
    ),
    Option(
        "mean",
        numbers,
        "0.5, 0.5, 0.5",
        key="mean",
        label="Mean",
        metavar="a[,b,c]",
        help="One number or three, of pixels between 0 and 1.",
    ),
    Option(
        "std", numbers, "0.5, 0.5, 0.5", key="std", label="Standard deviation", metavar="a[,b,c]"
    ),
)
PRECISION = Option(
    "precision",
    choices=plain_choices(("fp32", "tf32", "bf16")),
    help="what a lower one changes is measured and told; tf32 is for GPUs",
)

OPTIONS = {  # by group: the audit's, then what training has besides
    "model": (
        Option(
            "arch",
            key="arch",
            label="Take it as another architecture",
            metavar="NAME",
            help="when it is not recognised; resnet18+gelu tells what stands in a head of your own",
        ),
        Option(
            "layers",
            names,
            flag="layer",
            key="layer",
            label="Layer that is explained",
            metavar="NAME[,NAME]",
            help="by rule the last one with a grid",
        ),
        Option(
            "defect_index",
            indices,
            "1",
            label=MEANING,
            metavar="I[,J]",
            help="outputs that mean defective",
        ),
        Option(
            "good_index",
            indices,
            "0",
            key="outputs",
            label=MEANING,
            metavar="I[,J]",
            help="outputs that mean good",
        ),
        Option(
            "one_logit",
            choices={"defect": "defective", "good": "good"},
            label=MEANING,
            help="what a positive output means",
        ),
    ),
    "input": (
        *PIXELS,
        Option(
            "resize",
            key="resize",
            label="Resize",
            metavar="{stretch,crop:S,letterbox}",
            help="stretch: the whole image, stretched. crop:256: the short side to 256, then the "
            "centre. letterbox: the whole image with bars.",
        ),
        Option(
            "interpolation",
            choices=plain_choices(INTERPOLATIONS),
            key="interpolation",
            label="Interpolation",
        ),
        Option(
            "antialias",
            key="antialias",
            label="Antialiasing",
            choices={
                "yes": "yes, as PIL resizes",
                "no": "no, as OpenCV or tensors",
            },
            help="yes: as PIL and torchvision resize pictures. no: as OpenCV, albumentations and "
            "torchvision without antialiasing do.",
        ),
        Option(
            "bits",
            whole,
            "12",
            key="bits",
            label="Bits of 16-bit pictures",
            metavar="N",
            help="How many of 16 bits the camera fills, as 12; by rule as many as the images use.",
        ),
        Option(
            "exif",
            key="exif",
            label="EXIF orientation",
            choices={"upright": "turn upright", "ignore": "ignore, as ImageFolder"},
            help="upright: turned as the camera noted, as OpenCV does. ignore: as it is stored, as "
            "torchvision's ImageFolder does.",
        ),
    ),
    "data": (
        Option(
            "good",
            key="good",
            label="Which folders hold good parts?",
            several=True,
            metavar="NAME",
            help="folders of good parts",
        ),
        Option(
            "samples",
            Path,
            key="table",
            label="Labels come from",
            metavar="CSV",
            help="path,label[,mask,group,split]",
        ),
        Option("group_column", key="groupcolumn", label=PARTS, metavar="NAME"),
        Option(
            "group_pattern",
            key="group",
            label=PARTS,
            instead_of="group_column",
            metavar="REGEX",
            help="searched in the path",
        ),
        Option(
            "roles",
            Path,
            key="roles",
            label="Seen in training?",
            metavar="FILE",
            help="CSV path,role",
        ),
        Option(
            "certify",
            choices=SHARES_FOR_PROOF,
            key="certify",
            label="Parts for the proof",
            help="taken from those for choosing (tune) where the data names none for the proof",
        ),
    ),
    "score": (
        Option(
            "strengths",
            numbers,
            "0, 0.5, 1",
            key="strengths",
            label="Adversarial strengths",
            metavar="0,0.5,1",
            help="How far every pixel is nudged, in steps of 1/255, before the detector is asked "
            "again. Each one more takes one more pass over the parts called good.",
        ),
        Option(
            "direction",
            key="direction",
            label="Nudged",
            choices={"toward_defect": "towards a defect", "toward_good": "towards good"},
        ),
        Option(
            "pgd_steps",
            whole,
            "1",
            flag="pgd",
            key="pgd",
            label="Steps of the nudge",
            metavar="STEPS",
            help="In how many small steps every pixel is nudged. 1 is the fast way.",
        ),
        Option(
            "specific",
            names,
            key="specific",
            label="Map for one class",
            metavar="FORM[,FORM]",
            help="How the evidence for a defect, and for a good part, is drawn.",
        ),
        Option(
            "agnostic",
            names,
            key="agnostic",
            label="Map for any class",
            metavar="FORM[,FORM]",
            help="How it is drawn where the network looks, whatever it decides.",
        ),
        Option(
            "mask",
            key="mask",
            label="Mask of a map",
            metavar="{half,top:q,otsu}",
            help="The area of a map that is compared: half = above half of its range, top:0.2 = "
            "its strongest fifth, otsu = split where its values divide best.",
        ),
        Option(
            "decision_threshold",
            number,
            "0.5",
            key="threshold",
            label="Decision threshold",
            metavar="P",
            help="A part is called defective when its defect probability is at least this.",
        ),
        Option(
            "argmax",
            bool,
            key="argmax",
            label="Decide by the largest output instead",
            instead_of="decision_threshold",
            help="Several kinds of defect: the part is what its largest output says.",
        ),
        Option("tta", bool, help="also flip passed images: three forwards more for each"),
        PRECISION,
    ),
    "run": (
        Option(
            "expect",
            Path,
            key="expect",
            label="Compare with your own predictions",
            metavar="CSV",
            help="your predictions: path,p",
        ),
        Option("memory", number, "2", metavar="GIB", help="for one pass; default: 2"),
        Option("out", Path, label="Name", metavar="DIR", help="the audit folder"),
        Option(
            "engine",
            choices=plain_choices(("local", "ray")),
            help="where batches run; default: local",
        ),
    ),
    "cluster": (
        Option("ray_address", metavar="ADDRESS", help="default: this machine alone"),
        Option("workers", positive, "4", metavar="N", help="default: all there are"),
        Option("gpus", number, "1", metavar="G", help="for each worker; default: none"),
    ),
    "network": (
        Option(
            "objective",
            label="It learns",
            required=True,
            choices={
                "joint": "label and mask together",
                "mask": "the mask alone: a part is defective when any pixel is",
                "label": "the label alone",
            },
            help="joint (label and mask), mask (pixels only) or label",
        ),
        Option("encoder", label="Encoder", metavar="NAME", help="of segmentation_models_pytorch"),
        Option("decoder", metavar="FORM", help="of the mask: FPN32, FPN32@4, Unet16"),
        Option(
            "weights",
            label="Begin with ImageNet weights",
            metavar="FILE",
            help="first weights; or imagenet",
        ),
        *PIXELS,
    ),
    "training": (
        Option("epochs", whole, "20", label="Passes over the photos, at most"),
        Option("close_up_epochs", whole, "5", help="before them, on windows around defects"),
        Option("batch", whole, "16"),
        Option("lr", number, "0.001", label="Learning rate"),
        Option("weight_decay", number, "0.02"),
        Option("mask_weight", number, "0.5", help="of the mask's loss (0.5; joint)"),
        Option("label_weight", number, "0.5", help="of the decision's loss (0.5; joint)"),
        Option("patience", whole, "8", help="stop after so many epochs without a better one"),
        PRECISION,
        Option("seed", whole, "1"),
    ),
}


def find(name: str) -> Option:
    """The option that makes a setting, or has a flag, of this name (without dashes)."""
    return next(
        option
        for group in OPTIONS.values()
        for option in group
        if name.replace("-", "_") in (option.name, option.flag)
    )


@dataclass(frozen=True)
class DataOptions:
    """How a data folder is read, as `read_dataset` takes it.

    Attributes:
        good: class names of good parts.
        samples: a table of samples, when labels do not come from folders.
        group_column: column of `samples` that names the group.
        group_pattern: regular expression, searched in the path, that names the group.
        roles: a table that says what images are used for.
        certify: what becomes `certify` where the data names none: `half`, `none`, or `auto`, which
            it is when None.
    """

    good: tuple[str, ...] = ()
    samples: Path | None = None
    group_column: str | None = None
    group_pattern: str | None = None
    roles: Path | None = None
    certify: str | None = None


def values_of(values: Mapping[str, Any], *groups: str) -> dict[str, Any]:
    """Those of some values by name that belong to these groups and say something."""
    found = {option.name: values.get(option.name) for name in groups for option in OPTIONS[name]}
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in found.items()
        if value is not None
    }


def model_options(values: Mapping[str, Any]) -> "ModelOptions":
    """How a model is opened, of the values of options by name."""
    from trust_core.model.facts import ModelOptions

    return ModelOptions(**values_of(values, "model", "input"))


def data_options(values: Mapping[str, Any]) -> DataOptions:
    """How data are read, of the values of options by name."""
    return DataOptions(**values_of(values, "data"))


def audit_settings(values: Mapping[str, Any]) -> "AuditSettings":
    """How images are scored, of the values of options by name.

    Raises:
        SettingsError: a value that means nothing.
    """
    from trust_core.audit.settings import AuditSettings

    found = values_of(values, "score")
    if found.pop("argmax", False):
        found["decision_threshold"] = None
    return AuditSettings(**found)
