"""What a guard says of a part, and how images become that, whatever runs the network.

Nothing here needs PyTorch: the ONNX guard runs without it.
"""

import secrets
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from trust_core.deploy.photometry import photometry
from trust_core.deploy.policy import DEFECTIVE, GOOD, RE_INSPECT, Policy
from trust_core.errors import SettingsError, UnreadableImage
from trust_core.messages import threshold_text

Picture = Path | str | bytes | Image.Image | npt.NDArray[np.uint8]
Read = npt.NDArray[np.uint8] | str  # the network's input, or why there is none
Arrays = dict[str, npt.NDArray[Any]]
Maps = Mapping[str, npt.NDArray[np.float32]]

AUDIT_SAMPLE = "audit sample: inspect it too, so that the certificate can be updated"


@dataclass(frozen=True)
class Inspection:
    """What the guard says of one part.

    Attributes:
        name: path or name of its image.
        decision: `defective`, `good` or `re_inspect`.
        p_defect: p of the detector; None where the image cannot be read.
        log_odds: z.
        indicator: of a passed part; None without a score, and for parts called defective.
        reason: why, in words; "" for a good part that nothing speaks against.
        audit_sample: a good part that is inspected at random all the same.
        brightness: of the network's input, as `photometry`; None where it cannot be read.
        sharpness: the same.
        maps: heatmaps by name, `(h, w)` float32, when they were asked for.
    """

    name: str
    decision: str
    p_defect: float | None
    log_odds: float | None
    indicator: float | None
    reason: str
    audit_sample: bool = False
    brightness: float | None = None
    sharpness: float | None = None
    maps: Maps | None = None

    def as_json(self) -> dict[str, Any]:
        """A JSON object; maps as nested lists, where there are any."""
        told = dict(vars(self))
        maps = told.pop("maps")
        told = {"path": told.pop("name"), **told}
        if maps is not None:
            told["maps"] = {name: values.tolist() for name, values in maps.items()}
        return told


@dataclass(frozen=True)
class Answers:
    """What the network and the indicator say of n parts.

    Attributes:
        defective: called so by the detector, `(n,)`.
        log_odds: z, `(n,)`.
        p_defect: `(n,)`.
        indicator: `(n,)`; NaN where a part has no score, or is not passed.
        status: why a part has no score, "" where that is not known; n of them.
        maps: heatmaps of each part; None when they were not asked for.
    """

    defective: npt.NDArray[np.bool_]
    log_odds: npt.NDArray[np.float64]
    p_defect: npt.NDArray[np.float64]
    indicator: npt.NDArray[np.float64]
    status: Sequence[str]
    maps: Sequence[Maps] | None


class Inspector(ABC):
    """Images in, decisions out. A guard says what its network answers, and what it decides by."""

    policy: Policy
    batch_size: int
    folder: Path

    @abstractmethod
    def answers(
        self, pixels: npt.NDArray[np.uint8], names: list[str], *, maps: bool = False
    ) -> Answers:
        """What network and indicator say of one batch of the network's own input."""

    def inspect(
        self, images: Sequence[Picture], names: Sequence[str] = (), *, maps: bool = False
    ) -> list[Inspection]:
        """Decide on parts, in batches.

        Args:
            images: files, bytes of files, pictures, or arrays `(H, W)` or `(H, W, 3)` of RGB.
            names: what they are called; their paths, or their numbers, when not given.
            maps: also give heatmaps.

        Returns:
            One for each image, in order. An image that cannot be read is to be re-inspected.

        Raises:
            SettingsError: as many names as images are needed.
        """
        if names and len(names) != len(images):
            raise SettingsError(f"{len(images)} images have {len(names)} names.")
        called = list(names) or [
            str(image) if isinstance(image, Path | str) else str(number)
            for number, image in enumerate(images)
        ]
        found = []
        for start in range(0, len(images), self.batch_size):
            part = slice(start, start + self.batch_size)
            read = [self.pixels(*one) for one in zip(images[part], called[part], strict=True)]
            found += self.inspect_read(read, called[part], maps=maps)
        return found

    def inspect_read(
        self, read: Sequence[Read], names: list[str], *, maps: bool = False
    ) -> list[Inspection]:
        """Decide on one batch of what `pixels` gave."""
        pixels = [values for values in read if not isinstance(values, str)]
        readable = [n for n, values in zip(names, read, strict=True) if not isinstance(values, str)]
        told = iter(self.inspect_pixels(np.stack(pixels), readable, maps=maps) if pixels else [])
        return [
            Inspection(name, RE_INSPECT, None, None, None, f"unreadable: {values}")
            if isinstance(values, str)
            else next(told)
            for name, values in zip(names, read, strict=True)
        ]

    def pixels(self, image: Picture, name: str = "image") -> Read:
        """The network's input of an image, `(c, H, W)`, or why it cannot be read."""
        rule = self.policy.model_preprocessing
        try:
            if isinstance(image, np.ndarray):
                if not _is_picture(image):
                    return f"{name}: an array must be (H, W) or (H, W, 3) of uint8."
                image = Image.fromarray(image)
            if isinstance(image, Image.Image):
                return rule.pixels(rule.read_picture(image, name))
            if isinstance(image, bytes):
                return rule.pixels(rule.read(Path(name), image))
            return rule.pixels(rule.read(Path(image)))
        except UnreadableImage as error:
            return str(error)

    def inspect_pixels(
        self, pixels: npt.NDArray[np.uint8], names: list[str], *, maps: bool = False
    ) -> list[Inspection]:
        """Decide on the network's own input, `(n, c, H, W)`, in batches."""
        found = []
        for start in range(0, len(pixels), self.batch_size):
            batch = slice(start, start + self.batch_size)
            part, named = pixels[batch], names[batch]
            answers = self.answers(part, named, maps=maps)
            seen = np.stack(photometry(part), 1).tolist()
            rows = enumerate(named)
            found += [self._inspection(name, answers, row, seen[row]) for row, name in rows]
        return found

    def _inspection(
        self, name: str, answers: Answers, row: int, seen: Sequence[float]
    ) -> Inspection:
        policy = self.policy
        p, value = float(answers.p_defect[row]), float(answers.indicator[row])
        decision, reason, sampled = GOOD, "", False
        if answers.defective[row]:
            threshold = policy.decision.threshold
            rule = f"decision threshold {threshold:g}" if threshold else "the largest output"
            decision, reason = DEFECTIVE, f"called defective: p {p:.3g}, {rule}"
        elif np.isnan(value):
            decision = RE_INSPECT
            reason = ": ".join(filter(None, ("no score", answers.status[row])))
        elif value >= policy.threshold - policy.tolerance:
            decision = RE_INSPECT
            reason = (
                f"suspicious: {policy.indicator_name} {value:.6g}, "
                f"threshold {threshold_text(policy.threshold)}"
            )
        elif _drawn(policy.audit_rate):
            reason, sampled = AUDIT_SAMPLE, True
        return Inspection(
            name,
            decision,
            _known(p),
            _known(float(answers.log_odds[row])),
            _known(value),
            reason,
            sampled,
            brightness=seen[0],
            sharpness=seen[1],
            maps=answers.maps[row] if answers.maps else None,
        )


def _is_picture(array: npt.NDArray[Any]) -> bool:
    """Whether an array is a grey or RGB picture of 8 bits; others have no agreed range."""
    plain = array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)
    return array.dtype == np.uint8 and plain and array.size > 0


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _drawn(rate: float) -> bool:
    """Whether a part is drawn, by a source that nobody can foresee."""
    return bool(rate) and secrets.randbelow(2**53) < rate * 2**53
