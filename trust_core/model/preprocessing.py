"""Preprocessing: from a decoded image to the pixels that a network was trained to see.

Notation: c channels of the network input, H, W its size.
"""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from trust_core.data.images import MAX_PIXELS, SIXTEEN, read_image, read_picture
from trust_core.errors import SettingsError, UnreadableImage
from trust_core.messages import Message, none_of, option
from trust_core.model.resampling import KERNELS, resampled
from trust_core.storage.manifest import PreprocessingRecord

_PIL = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "nearest": Image.Resampling.NEAREST,
    "lanczos": Image.Resampling.LANCZOS,
}
INTERPOLATIONS = tuple(dict.fromkeys((*_PIL, *KERNELS)))
ANTIALIAS = ("yes", "no")
EXIF = ("upright", "ignore")
BITS = range(8, SIXTEEN + 1)
CHANNELS = ("rgb", "bgr", "grey")
LARGEST_SIDE = 4096


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes the network's input.

    The decoded 8-bit image is first brought to the channels, then resized; pixels in [0, 1] are
    later normalised as `(x - mean) / std` inside the Detector.

    Attributes:
        size: (H, W) of the network input.
        resize: "stretch" (the whole image, aspect ratio not kept), "crop:S" (short side to S,
            then the centre of `size`, black where the image ends before), or "letterbox" (the
            whole image with its aspect ratio, centred; the rest is filled with `mean`, which is
            0 after normalisation).
        interpolation: "bilinear", "bicubic", "nearest", "lanczos" or "area".
        channels: "rgb", "bgr", or "grey": one channel (repeated for a network that reads three).
        mean: one value, or one for each channel in the order the network sees them; of [0, 1].
        std: as `mean`; greater than 0.
        antialias: "yes": as PIL resizes; "no": as OpenCV, albumentations and torchvision on tensors
            do (`resampled`).
        bits: of a 16-bit picture that its camera fills: 12 bits are values up to 4095.
        exif: "upright": turned as its EXIF orientation says; "ignore": as it is stored, which is
            what torchvision's ImageFolder gives.
    """

    size: tuple[int, int]
    resize: str = "stretch"
    interpolation: str = "bilinear"
    channels: str = "rgb"
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    antialias: str = "yes"
    bits: int = SIXTEEN
    exif: str = "upright"

    def __post_init__(self) -> None:
        """Refuse values that mean nothing.

        Raises:
            SettingsError: naming the setting and what it may be.
        """
        if len(self.size) != 2 or not all(1 <= side <= LARGEST_SIDE for side in self.size):
            raise SettingsError(
                Message(
                    "{size} is HxW, each side from 1 to {most}; it cannot be {value}.",
                    most=LARGEST_SIDE,
                    value="x".join(map(str, self.size)),
                )
            )
        if self.interpolation not in INTERPOLATIONS:
            raise SettingsError(none_of("interpolation", self.interpolation, INTERPOLATIONS))
        for name, value, known in (
            ("channels", self.channels, CHANNELS),
            ("antialias", self.antialias, ANTIALIAS),
            ("exif", self.exif, EXIF),
        ):
            if value not in known:
                raise SettingsError(none_of(name, value, known))
        if self.antialias == "no" and self.interpolation not in KERNELS:
            raise SettingsError(
                Message(
                    "{interpolation} {value} is PIL's alone, which is antialiased; leave "
                    "{antialias:no} out, or choose another.",
                    value=self.interpolation,
                )
            )
        if self.bits not in BITS:
            raise SettingsError(
                Message("{bits} is a number from 8 to 16; it cannot be {value}.", value=self.bits)
            )
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, 3) or not np.isfinite(values).all():
                raise SettingsError(
                    Message(
                        "{option} is one number, or three, one for each channel; it cannot be "
                        "{value}.",
                        option=option(name),
                        value=",".join(map(str, values)),
                    )
                )
        if min(self.std) <= 0:
            raise SettingsError(
                Message(
                    "{std} must be greater than 0; it cannot be {value}.",
                    value=",".join(map(str, self.std)),
                )
            )
        if self.resize in ("stretch", "letterbox"):
            return
        name, _, short = self.resize.partition(":")
        if name != "crop" or not short.isdecimal():
            raise SettingsError(
                Message(
                    '{resize} is stretch, crop:S or letterbox, not "{value}"; e.g. crop:256 brings '
                    "the short side to 256 before the centre is cut out.",
                    value=self.resize,
                )
            )
        if not min(self.size) <= int(short) <= LARGEST_SIDE:
            raise SettingsError(
                Message(
                    "{resize} {value} would cut {height}x{width} out of an image whose short side "
                    "is {short}; give at least crop:{least}.",
                    value=self.resize,
                    height=self.size[0],
                    width=self.size[1],
                    short=short,
                    least=min(self.size),
                )
            )

    @property
    def input_channels(self) -> int:
        """Number of channels c of the network input: 1 for grey, otherwise 3."""
        return 1 if self.channels == "grey" else 3

    def read(self, path: Path, content: bytes | None = None) -> Image.Image:
        """Decode an image file by these rules, as `read_image`.

        Raises:
            UnreadableImage: with the file name and the reason; also where the picture is so much
                longer than wide that it cannot be resized.
        """
        image = read_image(path, content, bits=self.bits, upright=self.exif == "upright")
        self._scaled(image, path.name)
        return image

    def read_picture(self, picture: Image.Image, name: str) -> Image.Image:
        """The same of a picture that a program holds already."""
        image = read_picture(picture, name, bits=self.bits, upright=self.exif == "upright")
        self._scaled(image, name)
        return image

    def pixels(self, image: Image.Image) -> npt.NDArray[np.uint8]:
        """The network's input before scaling and normalisation.

        Args:
            image: decoded image of mode "L" or "RGB". A grey image shown to a network of three
                channels becomes three equal ones.

        Returns:
            (c, H, W) uint8.

        Raises:
            UnreadableImage: it would be larger than any picture once resized.
        """
        image = image.convert("L" if self.channels == "grey" else "RGB")
        array = np.asarray(self._resized(image))
        array = array[None] if array.ndim == 2 else array.transpose(2, 0, 1)
        if self.channels == "bgr":
            array = array[::-1]
        return np.ascontiguousarray(array)

    def _scaled(self, image: Image.Image, name: str) -> tuple[tuple[int, int], tuple[int, int]]:
        """As `resized_window`, of a picture that is no larger than others once resized."""
        scaled, place = resized_window(image.size, self.size, self.resize)
        if scaled[0] * scaled[1] > MAX_PIXELS:
            raise UnreadableImage(
                f"{name}: of {image.width:,}x{image.height:,} pixels, it would have "
                f"{scaled[0]:,}x{scaled[1]:,} once resized ({self.resize}); up to "
                f"{MAX_PIXELS // 10**6} million are made."
            )
        return scaled, place

    def _resized(self, image: Image.Image) -> Image.Image:
        scaled, (left, top) = self._scaled(image, "the picture")
        if self.antialias == "yes" and self.interpolation in _PIL:
            image = image.resize(scaled, _PIL[self.interpolation])
        else:
            image = Image.fromarray(resampled(np.asarray(image), scaled[::-1], self.interpolation))
        if self.resize != "letterbox":
            return image.crop((left, top, left + self.size[1], top + self.size[0]))
        fill = [round(255 * min(max(value, 0.0), 1.0)) for value in self.mean]
        rgb = (fill * 3)[:3][:: -1 if self.channels == "bgr" else 1]
        grey = round(sum(fill) / len(fill))
        canvas = Image.new(image.mode, self.size[::-1], grey if image.mode == "L" else tuple(rgb))
        canvas.paste(image, (-left, -top))
        return canvas


def noted_preprocessing(noted: PreprocessingRecord) -> Preprocessing:
    """How images become the input of the network of an audit or of a guard, as it notes that."""
    return Preprocessing(**{f.name: getattr(noted, f.name) for f in fields(Preprocessing)})


def resized_window(
    image: tuple[int, int], network: tuple[int, int], resize: str
) -> tuple[tuple[int, int], tuple[int, int]]:
    """What a photograph is scaled to, and where the network's window begins in it.

    `image` is (width, height) of the photograph, `network` (H, W) of the input.

    Returns:
        (width, height) of the scaled photograph, and (left, top) of the window in it, negative
        where the window begins outside. Rounded as torchvision's Resize and CenterCrop do.
    """
    height, width = network
    if resize == "stretch":
        scaled = width, height
    elif resize == "letterbox":
        factor = min(width / image[0], height / image[1])
        scaled = max(1, round(image[0] * factor)), max(1, round(image[1] * factor))
    else:
        short = int(resize.partition(":")[2])
        scaled = int(short * image[0] / min(image)), int(short * image[1] / min(image))
    return scaled, (_offset(scaled[0], width), _offset(scaled[1], height))


def _offset(have: int, want: int) -> int:
    return round((have - want) / 2) if have >= want else -((want - have) // 2)
