"""Names that people's own classes give to the weights of a known network, brought back to its own.

A network inside another class has its name before every key (`backbone.conv1.weight`), one cut out
of `Sequential(*network.children())` has numbers for names, older versions of a library had other
names. Which of these it was is told by fingerprints: the reading that is most like a known
architecture is taken. Whether it fits is decided key by key afterwards (`match`).
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from trust_core.model.recognition.fingerprints import Shapes, likeness

DEEPEST_PREFIX = 4
SHARE = 0.6  # of all tensors, below a prefix that may hold the network
OWN = "own."  # before names that are the network's too, of layers that stand beside it
CLEARLY = 0.2  # more like a known architecture than without renaming
# Children of a network by their place, as Sequential(*network.children()) numbers them.
CHILDREN = (
    ("conv1", "bn1", "", "", "layer1", "layer2", "layer3", "layer4", "", "fc"),  # ResNet
    ("features", "", "classifier"),  # MobileNet, EfficientNet, ConvNeXt, VGG of torchvision
    ("features", "classifier"),  # DenseNet
    ("conv_stem", "bn1", "blocks", "conv_head", "bn2", "", "classifier"),  # EfficientNet of timm
    ("conv_stem", "bn1", "blocks", "", "conv_head", "", "", "classifier"),  # MobileNetV3 of timm
    ("stem", "stages", "norm_pre", "head"),  # ConvNeXt of timm
    ("stem", "trunk_output", "", "fc"),  # RegNet
    ("conv1", "", "stage2", "stage3", "stage4", "conv5", "fc"),  # ShuffleNet
)


@dataclass(frozen=True)
class Layout:
    """How the keys of a file are read.

    `prefix` stands before the keys of the network; `names` are key of the file -> key of the
    network, of all keys.
    """

    prefix: str
    names: dict[str, str]

    @property
    def renamed(self) -> bool:
        """Whether any key is read otherwise than it stands in the file."""
        return any(before != after for before, after in self.names.items())


def read_layout(shapes: Shapes) -> Layout:
    """The reading of a state dict's keys that is most like a known architecture."""
    plain = Layout("", _modern({key: key for key in shapes}))
    for prefix in _prefixes(shapes):
        if has_heads({key.removeprefix(prefix) for key in shapes}):
            return Layout(prefix, {key: key.removeprefix(prefix) for key in shapes})
    best = plain
    most = likeness({name: shapes[key] for key, name in plain.names.items()}) + CLEARLY
    if most >= 1:
        return plain
    for layout in _layouts(shapes):
        inside = {
            name: shapes[key] for key, name in layout.names.items() if key.startswith(layout.prefix)
        }
        alike = likeness(inside)
        if alike > most:
            best, most = layout, alike
    return best


def _layouts(shapes: Shapes) -> Iterator[Layout]:
    for prefix in _prefixes(shapes):
        inside = [key for key in shapes if key.startswith(prefix)]
        bare = {key: key.removeprefix(prefix) for key in inside}
        others = {key: key for key in shapes if not key.startswith(prefix)}
        for names in (_modern(bare), *_numbered(bare)):
            if len(set(names.values())) < len(names):
                continue
            if set(names.values()) & others.keys():  # `bn1` beside `backbone.bn1`
                others = {key: f"{OWN}{key}" for key in others}
            yield Layout(prefix, names | others)


def _prefixes(shapes: Shapes) -> list[str]:
    """Beginnings of keys that most tensors share, the shortest first."""
    counts: Counter[str] = Counter()
    for key in shapes:
        parts = key.split(".")[:-1]
        for depth in range(min(len(parts), DEEPEST_PREFIX) + 1):
            counts["".join(f"{part}." for part in parts[:depth])] += 1
    common = [prefix for prefix, count in counts.items() if count >= SHARE * len(shapes)]
    return sorted(common, key=len)


def _numbered(bare: dict[str, str]) -> Iterator[dict[str, str]]:
    """Numbers in the place of children's names."""
    if not all(name.partition(".")[0].isdecimal() for name in bare.values()):
        return
    for children in CHILDREN:
        names = {}
        for key, name in bare.items():
            number, _, rest = name.partition(".")
            child = children[int(number)] if int(number) < len(children) else ""
            names[key] = f"{child}.{rest}" if child else name  # what has been put behind it
        yield names


def _modern(bare: dict[str, str]) -> dict[str, str]:
    """Swin of timm before 0.9: a stage ended in its downsampling, where now the next begins."""
    if "layers.0.downsample.reduction.weight" not in bare.values():
        return bare
    later = {
        f"layers.{number}.downsample.": f"layers.{number + 1}.downsample." for number in range(3)
    }
    return {
        key: next(
            (new + name.removeprefix(old) for old, new in later.items() if name.startswith(old)),
            name,
        )
        for key, name in bare.items()
    }


def has_heads(keys: Iterable[str]) -> bool:
    """Whether these are an encoder and heads, of segmentation_models_pytorch or our own."""
    keys = set(keys)
    return bool(keys & {"segmentation_head.0.weight", "classification_head.3.weight"}) and any(
        key.startswith("encoder.") for key in keys
    )
