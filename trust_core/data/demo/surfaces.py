"""The bundled demo data: photographs of textured industrial surfaces, some with a small defect.

A part is a square of one material with its own grain, tone and harmless marks; a defective part has
one defect of known kind, size and contrast with its exact mask. Each part is photographed several
times, shifted and under different exposure, light and sensor noise: its photographs are one group.

Everything about part `k` follows from `(seed, k)` alone, whatever the order or number of parts,
with a random stream each for what the part is, its surface, its marks, its defect and its
photographs. So a defective part has a flawless twin whose photographs equal its own in every pixel
outside the mask. The audit uses seed `AUDIT_SEED`; the bundled network was trained on another.
"""

import csv
import json
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from trust_core.data.demo.defects import DEFECTS, draw, harmless_marks
from trust_core.data.demo.textures import TEXTURES, Field, grid
from trust_core.errors import DataError

AUDIT_SEED = 20260419
SIZE = 176
MARGIN = 12
DEFECTIVE = 0.46
FAINTEST = 0.035
CONTRAST_RANGE = 10.0
ROLE_SHARES = {"tune": 0.28, "certify": 0.38, "test": 0.34}
COLUMNS = ("path", "label", "mask", "group", "split", "kind")
SETTINGS_FILE = "surfaces.json"
SAMPLES_FILE = "samples.csv"


@dataclass(frozen=True)
class Settings:
    """What the files follow from. `version` rises whenever the same seed gives other pixels."""

    seed: int
    parts: int
    photos: int
    size: int
    train: int = 0
    version: int = 2


@dataclass(frozen=True)
class SurfacePart:
    """One part and its photographs (`P` photographs of `size` by `size` pixels).

    `surface` is a key of `TEXTURES`, `kind` one of `DEFECTS`, "" for a good part; `photos` are `(P,
    size, size)` uint8, `masks` say where the defect is, `(P, size, size)` bool.
    """

    surface: str
    kind: str
    role: str
    photos: npt.NDArray[np.uint8]
    masks: npt.NDArray[np.bool_]


def render_part(
    seed: int, part: int, *, photos: int = 2, size: int = SIZE, emphasis: float = 1.0
) -> SurfacePart:
    """Render part number `part` of the series `seed`.

    `emphasis` is a factor on the contrast of its defect; 0 renders its flawless twin, a good part.
    """
    nature, surface_rng, marks_rng, defect_rng, photo_rng = (
        np.random.default_rng([seed, part, stream]) for stream in range(5)
    )
    n = size + 2 * MARGIN
    surface = str(nature.choice(list(TEXTURES)))
    kind = str(nature.choice(list(DEFECTS))) if nature.random() < DEFECTIVE else ""
    role = str(nature.choice(list(ROLE_SHARES), p=list(ROLE_SHARES.values())))
    reflectance = TEXTURES[surface](surface_rng, n)
    roughness = float(reflectance.std())
    reflectance = reflectance + (0.02 + 0.7 * roughness) * harmless_marks(marks_rng, n)
    profile = np.zeros((n, n), np.float32)
    if kind and emphasis:
        extent, contrast = nature.random(2)
        edge = MARGIN + 0.14 * size
        y, x = nature.uniform(edge, n - edge, 2)
        profile = draw(kind, defect_rng, n, (y, x), extent)
        strength = emphasis * FAINTEST * CONTRAST_RANGE**contrast * (1 + 12 * roughness)
        reflectance = reflectance + strength * profile
    shots = [_photograph(photo_rng, reflectance, profile != 0, size) for _ in range(photos)]
    images, masks = zip(*shots, strict=True)
    return SurfacePart(surface, kind if emphasis else "", role, np.stack(images), np.stack(masks))


def _photograph(
    rng: np.random.Generator, reflectance: Field, mask: npt.NDArray[np.bool_], size: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """One shot `(size, size)` and its mask: shift, light, exposure, vignette, shot and read noise.

    Every step acts on single pixels, so that nothing of a defect leaks out of its mask.
    """
    top, left = rng.integers(0, 2 * MARGIN + 1, 2)
    crop = np.s_[top : top + size, left : left + size]
    y, x = (axis / size - 0.5 for axis in grid(size))
    slope_y, slope_x = rng.normal(0, 0.14, 2)
    lamp_y, lamp_x = rng.uniform(-0.6, 0.6, 2)
    lamp = np.exp(-((y - lamp_y) ** 2 + (x - lamp_x) ** 2) / rng.uniform(0.15, 0.5))
    light = 1 + slope_y * y + slope_x * x + rng.uniform(0, 0.16) * lamp
    light = light * (1 - rng.uniform(0.15, 0.4) * (y**2 + x**2))
    exposed = np.clip(rng.uniform(0.85, 1.2) * light * reflectance[crop], 0.01, None)
    noise = rng.standard_normal((size, size), dtype=np.float32)
    exposed = exposed + np.sqrt(4e-5 + 1.5e-4 * exposed) * noise
    return np.clip(255 * exposed + 0.5, 0, 255).astype(np.uint8), mask[crop]


def generate(
    destination: Path,
    *,
    seed: int = AUDIT_SEED,
    parts: int = 1100,
    photos: int = 2,
    size: int = SIZE,
    train: int = 0,
) -> Path:
    """Write the photographs of `parts` parts with masks and `samples.csv`, or keep what is there.

    The folder appears complete or not at all. One of the same settings is left as it is; an older
    one of other settings is replaced.

    `seed` is the series of parts, about half of which are defective. The role of the first `train`
    of them is train; the others keep theirs.

    Returns:
        `destination`, with `samples.csv` (path, label, mask, group, split, kind) inside.

    Raises:
        DataError: `destination` holds something else, or cannot be written.
    """
    settings = Settings(seed, parts, photos, size, train)
    if destination.exists():
        found = _settings(destination)
        if found == asdict(settings):
            return destination
        if found is None and (not destination.is_dir() or any(destination.iterdir())):
            raise DataError(
                f"{destination} is not a folder of demo surfaces; name a new or empty folder."
            )
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=destination.parent, prefix=".surfaces-") as scratch:
            new = Path(scratch) / "new"
            _write(new, settings)
            if destination.exists():
                destination.rename(Path(scratch) / "old")
            new.rename(destination)
    except OSError as error:
        raise DataError(
            f"{destination}: the demo surfaces cannot be written ({error.strerror})"
        ) from error
    return destination


def _settings(folder: Path) -> dict[str, int] | None:
    """The settings an earlier run left in `folder`; None when it left none there."""
    try:
        found = json.loads((folder / SETTINGS_FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    ours = isinstance(found, dict) and found.keys() >= {"seed", "version"}  # others came later
    return found if ours else None


def _write(folder: Path, settings: Settings) -> None:
    def job(part: int) -> list[tuple[str, int, str, str, str, str]]:
        return list(_write_part(folder, settings, part))

    for surface in TEXTURES:
        (folder / "images" / surface).mkdir(parents=True)
        (folder / "masks" / surface).mkdir(parents=True)
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        rows = [row for batch in pool.map(job, range(settings.parts)) for row in batch]
    with (folder / SAMPLES_FILE).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])
    (folder / SETTINGS_FILE).write_text(json.dumps(asdict(settings), indent=2) + "\n", "utf-8")


def _write_part(
    folder: Path, settings: Settings, number: int
) -> Iterator[tuple[str, int, str, str, str, str]]:
    part = render_part(settings.seed, number, photos=settings.photos, size=settings.size)
    group = f"part{number:05d}"
    for k, (photo, mask) in enumerate(zip(part.photos, part.masks, strict=True), start=1):
        name = f"{part.surface}/{group}_{k}.png"
        Image.fromarray(photo).save(folder / "images" / name, compress_level=1)
        if part.kind:
            Image.fromarray(mask).save(folder / "masks" / name, compress_level=1)
        yield (
            f"images/{name}",
            int(bool(part.kind)),
            f"masks/{name}" if part.kind else "",
            group,
            "train" if number < settings.train else part.role,
            part.kind,
        )
