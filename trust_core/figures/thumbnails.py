"""Photographs of parts, scaled for a page: decoded safely, kept on disk, or a reason why not.

The files lie outside the audit folder, in the workspace: an audit holds what was measured, nothing
else.
"""

import io
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from trust_core.errors import UnreadableImage
from trust_core.model.placement import audit_picture
from trust_core.storage.atomic import replacing
from trust_core.storage.audit_files import Audit
from trust_core.storage.workspace import cache_folder

SIDE = 256  # pixels along the longer side: a tile on a screen of twice the usual density
READERS = 4

# Drawn where a photograph cannot be: mid-grey, so that it stands on light and dark alike.
PLACEHOLDER = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 160 160" width="160" height="160">'
    '<rect x="1" y="1" width="158" height="158" fill="#8a8f98" fill-opacity=".12"/>'
    '<g fill="none" stroke="#8a8f98" stroke-width="4" stroke-linecap="round" '
    'stroke-linejoin="round"><rect x="46" y="52" width="68" height="56" rx="6"/>'
    '<circle cx="66" cy="72" r="6"/><path d="M48 102l20-20 14 14 12-12 18 18"/>'
    '<path d="M42 116L118 44"/></g></svg>'
)


@dataclass(frozen=True)
class Thumbnail:
    """A small picture, or the sentence that stands in its place.

    `picture` is a JPEG, None when the photograph cannot be read, for the `reason`.
    """

    picture: bytes | None
    reason: str


def thumbnails(audit: Audit, parts: Iterable[tuple[str, str]]) -> list[Thumbnail]:
    """Thumbnails of `(sample_id, path)`, in order; decoding runs in several threads."""
    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(lambda part: _thumbnail(audit, *part), parts))


def scaled(image: Image.Image, side: int) -> Image.Image:
    """The image with its longer side brought down to `side`; a smaller one stays as it is."""
    factor = side / max(image.size)
    if factor >= 1:
        return image
    width, height = (max(1, round(length * factor)) for length in image.size)
    return image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)


def jpeg(image: Image.Image) -> bytes:
    """JPEG bytes with full colour resolution, so that thin coloured lines stay sharp."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=88, subsampling=0)
    return buffer.getvalue()


def _thumbnail(audit: Audit, sample_id: str, path: str) -> Thumbnail:
    """The thumbnail of one part, made once."""
    kept = cache_folder(audit) / f"{sample_id}.jpg"
    try:
        return Thumbnail(kept.read_bytes(), "")
    except OSError:
        pass  # not made yet, or not readable: make it
    try:
        # Whether it is still the audited file, the view of the part says; to ask costs as much.
        picture = jpeg(scaled(audit_picture(audit, path, check=False), SIDE))
    except UnreadableImage as error:
        return Thumbnail(None, str(error))
    _keep(kept, picture)
    return Thumbnail(picture, "")


def _keep(path: Path, content: bytes) -> None:
    """Write by rename. A disk that cannot be written costs time, not the page."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, durable=False) as unfinished:
            unfinished.write_bytes(content)
    except OSError:
        return
