"""What a few images of a data set show of a detector: results for whoever draws or prints them."""

from dataclasses import dataclass

from trust_core.messages import amount, duration

LOG_ODDS_TOLERANCE = 0.3  # p near 0 or 1 hides what ranks the parts called good


@dataclass(frozen=True)
class Speed:
    """Seconds an image: `clean` in the clean pass, `again` at another strength, `decoding` it."""

    decoding: float
    clean: float
    again: float


@dataclass(frozen=True)
class Preflight:
    """What a few images have shown.

    Attributes:
        counts: `tp, fn, tn, fp` at p ≥ 0.5 of the images that were read.
        mean_log_odds: of the good and of the defective images; NaN where there is none.
        auroc: of the log-odds at telling defective from good; NaN with one label.
        inverted: the outputs look as if read the wrong way round, which is no chance.
        grids: explanation layer -> (h, w).
        speed: of the audit.
        images: of the whole data set.
        passed: share of the images that are called good.
        mismatch: of the BatchNorm statistics (`norm_mismatch`); None without BatchNorm.
        unreadable: images that could not be read.
        findings: sentences that hold whatever they say.
        warnings: sentences to act on.
    """

    counts: dict[str, int]
    mean_log_odds: tuple[float, float]
    auroc: float
    inverted: bool
    grids: dict[str, tuple[int, int]]
    speed: Speed
    images: int
    passed: float
    mismatch: float | None
    unreadable: int
    findings: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def pace(self, strengths: int) -> str:
        """How long the audit of the whole data set will take, in a sentence.

        Args:
            strengths: other than 0.
        """
        clean = self.speed.decoding + self.speed.clean
        seconds = self.images * (clean + strengths * self.passed * self.speed.again)
        return (
            f"{amount(round(1 / clean), 'image', 'images')} a second; the audit at "
            f"{amount(strengths + 1, 'strength', 'strengths')} takes about {duration(seconds)}."
        )


@dataclass(frozen=True)
class Preview:
    """One image and what the detector makes of it.

    `picture` is a PNG of the network's input; `label` is 0 good, 1 defective, `probability` that of
    a defect.
    """

    picture: bytes
    label: int
    probability: float


@dataclass(frozen=True)
class MaskPreview:
    """One image and what its mask marks.

    `picture` is a PNG of the photograph, what is marked in `MARK_COLOUR`: a `share` of the mask's
    pixels.
    """

    picture: bytes
    share: float


@dataclass(frozen=True)
class MaskLook:
    """What the masks of a data set mark, as far as some of them tell.

    Attributes:
        previews: a few images with what is marked in them.
        shares: of the pixels, in every mask that was read.
        masked: defective images with a mask.
        defective: defective images in all.
        good_masked: good images with a mask.
    """

    previews: tuple[MaskPreview, ...]
    shares: tuple[float, ...]
    masked: int
    defective: int
    good_masked: int


@dataclass(frozen=True)
class Expectation:
    """How far a file of predictions is reproduced.

    Of the `compared` images in both, `reproduced` have |Δp| at most 0.01; `largest` is that of the
    image `worst`. `log_odds` is the largest difference that the digits of the file let one see.
    """

    compared: int
    reproduced: int
    largest: float
    worst: str
    log_odds: float
    sentence: str

    @property
    def agrees(self) -> bool:
        """Whether it is the same detector, as far as the file tells."""
        return self.reproduced == self.compared and self.log_odds <= LOG_ODDS_TOLERANCE
