"""`manifest.json`: what an audit is, how it was made, and what came out, as typed records."""

import hashlib
import json
from collections.abc import Container, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from trust_core.errors import StoreError
from trust_core.messages import Message
from trust_core.storage.atomic import write_json

SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
COPY = "manifest.copy.json"  # written before it: where one of the two is damaged, the other is not
SEAL = "sha256"  # key: of all other keys
RUNNING, FINISHED = "running", "finished"

# left out where it came from no file and no command, or where no file is noted yet
ORIGIN = {"path", "options", "command", "files"}
RESULTS = (
    *("timings", "counts", "counts_by_role", "counts_by_split", "unreadable", "unscored"),
    "display_scale",
)  # left out until there are any


@dataclass(frozen=True, kw_only=True)
class Record:
    """A record of the manifest.

    Attributes:
        other: keys that this version of the program does not know; they survive a rewrite.
    """

    other: Mapping[str, Any] = field(default_factory=dict)


AnyRecord = TypeVar("AnyRecord", bound=Record)


@dataclass(frozen=True, kw_only=True)
class SettingsRecord(Record):
    """Settings of the audit, as `AuditSettings` has them.

    A default is what an audit means that does not say: it stays when that of `AuditSettings` moves.
    """

    strengths: tuple[float, ...] = (0.0,)
    direction: str = "toward_defect"
    pgd_steps: int = 1
    specific: tuple[str, ...] = ("gradcam",)
    agnostic: tuple[str, ...] = ("gradient",)
    mask: str = "half"
    decision_threshold: float | None = 0.5
    tta: bool = False
    precision: str = "fp32"


@dataclass(frozen=True, kw_only=True)
class ConventionRecord(Record):
    """The meaning of each output, as `Convention` has it."""

    outputs: int = 0
    defect: tuple[int, ...] = ()
    good: tuple[int, ...] = ()
    sign: int = 1


@dataclass(frozen=True, kw_only=True)
class PreprocessingRecord(Record):
    """How an image became the network's input, as `Preprocessing` has it."""

    size: tuple[int, int] = (0, 0)
    resize: str = "stretch"
    interpolation: str = "bilinear"
    channels: str = "rgb"
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    antialias: str = "yes"
    bits: int = 16
    exif: str = "upright"


@dataclass(frozen=True, kw_only=True)
class ModelRecord(Record):
    """The audited model.

    Attributes:
        architecture: its name.
        sha256: of the file, or of the weights.
        convention: the meaning of its outputs.
        preprocessing: how it sees images.
        notes: sentences on how it was opened.
        path: where its file lay; "" for a module that was given as such.
        options: how it was opened, by the names of `ModelOptions`.
    """

    architecture: str = ""
    sha256: str = ""
    convention: ConventionRecord = ConventionRecord()
    preprocessing: PreprocessingRecord = PreprocessingRecord()
    notes: tuple[str, ...] = ()
    path: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DataRecord(Record):
    """The audited data set.

    `source` is the address it was fetched from, "" for a folder; `sha256` is of the paths and bytes
    of its images; `good` are names that mean good.
    """

    root: str = ""
    source: str = ""
    sha256: str = ""
    layout: str = ""
    good: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class MapRecord(Record):
    """A kept map.

    `map` is `defect`, `good`, or its form; `layer` is what it explains; `display_scale` is the
    99.5th percentile of its values at ε = 0, 0 until it is known.
    """

    name: str
    layer: str
    map: str
    file: str
    grid: tuple[int, int] = (0, 0)
    display_scale: float = 0.0


@dataclass(frozen=True, kw_only=True)
class DepthRecord(Record):
    """A layer whose pooled activations are kept: its name, channels, height and width."""

    layer: str
    channels: int
    grid: tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class MaskHeadRecord(Record):
    """The mask head: height and width of its masks."""

    grid: tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Timings(Record):
    """The model pass: how long it took, all runs of it together, for how many images."""

    seconds: float = 0.0
    images: int = 0


@dataclass(frozen=True, kw_only=True)
class OutcomeCounts(Record):
    """How many images have each outcome."""

    tp: int = 0
    fn: int = 0
    tn: int = 0
    fp: int = 0

    @property
    def total(self) -> int:
        """Images with an outcome."""
        return self.tp + self.fn + self.tn + self.fp


@dataclass(frozen=True, kw_only=True)
class DeltaChange(Record):
    """How far the IoU difference moves."""

    median: float
    largest: float


@dataclass(frozen=True, kw_only=True)
class FlaggedChange(Record):
    """How many (`of`) images are the most suspicious ones, and how many stay so (`same`)."""

    same: int
    of: int


@dataclass(frozen=True, kw_only=True)
class PrecisionCheck(Record):
    """What a lower precision changes, measured on the first images.

    Of the `images` seen, the `passed` are compared: `log_odds` is the largest change of z, `delta`
    that of Δ over all strengths, `flagged` what changes among the most suspicious images at each
    strength.
    """

    precision: str
    images: int
    passed: int
    decisions_changed: int
    log_odds: float
    delta: DeltaChange
    flagged: FlaggedChange
    sentence: str = ""


@dataclass(frozen=True, kw_only=True)
class FileRecord(Record):
    """A result file as it was written: bytes, time of the change in nanoseconds, sha256."""

    size: int
    changed: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Manifest(Record):
    """`manifest.json`.

    Attributes:
        schema_version: of the folder's format.
        model_pass: hash of model, pixels, preprocessing, layers, maps, strengths, decision rule.
        table: hash of labels, kinds, groups, roles, masks.
        mask: the mask rule of the scores.
        precision: what a lower precision changes; None where none was used.
        settings: of the audit.
        model: the detector.
        layer: the first explanation layer.
        grid: its height and width.
        maps: that are kept.
        depths: layers whose pooled activations are kept; none in an audit of before them.
        mask_head: None where the network has none.
        data: the data set.
        libraries: versions by name.
        machine: in words.
        created: when, as `2026-04-21T14:03:00+0200`.
        command: the words after `python -m trust_core` that made it; none when Python did.
        batch_size: images a shard.
        timings: of the model pass.
        counts: of all outcomes.
        status: `RUNNING` or `FINISHED`.
        counts_by_role: outcomes by role.
        counts_by_split: outcomes by split as given.
        unreadable: images that could not be read.
        unscored: passed images without a score.
        files: result files by their names in the folder; none in an audit of before they were
            noted.
    """

    schema_version: int
    model_pass: str = ""
    table: str = ""
    mask: str = ""
    precision: PrecisionCheck | None = None
    settings: SettingsRecord = SettingsRecord()
    model: ModelRecord = ModelRecord()
    layer: str = ""
    grid: tuple[int, int] = (0, 0)
    maps: tuple[MapRecord, ...] = ()
    depths: tuple[DepthRecord, ...] = ()
    mask_head: MaskHeadRecord | None = None
    data: DataRecord = DataRecord()
    libraries: Mapping[str, str] = field(default_factory=dict)
    machine: str = ""
    created: str = ""
    command: tuple[str, ...] = ()
    batch_size: int = 0
    timings: Timings = Timings()
    counts: OutcomeCounts = OutcomeCounts()
    status: str
    counts_by_role: Mapping[str, OutcomeCounts] = field(default_factory=dict)
    counts_by_split: Mapping[str, OutcomeCounts] = field(default_factory=dict)
    unreadable: int = 0
    unscored: int = 0
    files: Mapping[str, FileRecord] = field(default_factory=dict)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the audit in `folder`, of this or an earlier version of the program.

    Raises:
        StoreError: no audit there, a damaged manifest, or one of a newer program.
    """
    return _read(folder / MANIFEST)


def _read(path: Path) -> Manifest:
    """As `read_manifest`; what has not changed is not read again."""
    try:
        status = path.stat()
    except OSError:
        return _read_file(path, ())  # says what is wrong
    return _read_file(path, (status.st_ino, status.st_mtime_ns, status.st_size))


@lru_cache(maxsize=64)
def _read_file(path: Path, _: tuple[int, ...]) -> Manifest:
    folder = path.parent
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content["schema_version"]
        _check_seal(content)
        manifest = as_record(Manifest, content) if version == SCHEMA_VERSION else None
    except (FileNotFoundError, NotADirectoryError):
        raise StoreError(
            Message(
                "{folder} holds no audit (no {manifest}); name the folder that `audit` printed.",
                "{folder} holds no audit. Choose another one.",
                folder=folder,
                manifest=MANIFEST,
            )
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise StoreError(
            f"{path} is damaged; `python -m trust_core doctor {folder}` repairs it where there is "
            "a copy, else run the audit again into a new folder."
        ) from None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}; check its rights.") from error
    if manifest is None:
        raise StoreError(
            f"{folder} was written in format {version}, this program reads {SCHEMA_VERSION}; "
            "run the audit again."
        )
    return manifest


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of the audit in `folder`, and its copy."""
    left_out = () if manifest.status == FINISHED else RESULTS
    content = as_json(manifest, left_out)
    content[SEAL] = _seal(content)
    for name in (COPY, MANIFEST):
        write_json(folder / name, content)


def restore_manifest(folder: Path) -> bool:
    """Put manifest or copy in the place of the other that is gone or damaged; whether one was.

    An audit of before there were copies stays as it is.
    """
    sound = {}
    _read_file.cache_clear()  # a disk that forgets changes no time
    for name in (MANIFEST, COPY):
        with suppress(StoreError):
            sound[name] = _read(folder / name)
    if len(sound) != 1 or (MANIFEST in sound and not (folder / COPY).exists()):
        return False
    write_manifest(folder, *sound.values())
    return True


def _check_seal(content: dict[str, Any]) -> None:
    """Take the seal off; `ValueError` when it is of another content. Old manifests have none."""
    seal = content.pop(SEAL, None)
    if seal != _seal(content) and (seal is not None or content.get("files")):
        raise ValueError("the seal is of another content")


def _seal(content: Mapping[str, Any]) -> str:
    """The sha256 of all keys and values; whatever JSON tells apart, it does."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def as_record(kind: type[AnyRecord], content: Mapping[str, Any]) -> AnyRecord:
    """A record from its JSON. Keys that are missing get their defaults.

    Raises:
        KeyError, TypeError, AttributeError: the JSON is not that of such a record.
    """
    kinds = _record_fields(kind)  # type: ignore[arg-type] # any class is hashable
    known = {name: _value(content[name], *kinds[name]) for name in kinds if name in content}
    return kind(**known, other={n: value for n, value in content.items() if n not in kinds})


def as_json(record: Record, left_out: Container[str] = ()) -> dict[str, Any]:
    """The JSON of a record, without the keys `left_out` in it and in the records that it holds."""
    found = {}
    for name in _record_fields(type(record)):  # type: ignore[arg-type]
        value = getattr(record, name)
        if name not in left_out and (value or name not in ORIGIN):
            found[name] = _json(value, left_out)
    return found | dict(record.other)


@cache
def _record_fields(kind: type[Record]) -> dict[str, tuple[type[Record] | None, bool]]:
    """Fields in order, but for `other`: the kind of record that each holds, and whether by name."""
    hints = get_type_hints(kind)
    found = {}
    for name in (part.name for part in fields(kind) if part.name != "other"):
        parts = (hints[name], *get_args(hints[name]))
        records = (part for part in parts if isinstance(part, type) and issubclass(part, Record))
        found[name] = next(records, None), get_origin(hints[name]) is Mapping
    return found


def _value(value: Any, record: type[Record] | None, by_name: bool) -> Any:  # noqa: ANN401 - any field
    if value is None:
        return None
    if record is None:
        return tuple(value) if isinstance(value, list | tuple) else value
    if by_name:
        return {name: as_record(record, part) for name, part in value.items()}
    if isinstance(value, list):
        return tuple(as_record(record, part) for part in value)
    return as_record(record, value)


def _json(value: Any, left_out: Container[str]) -> Any:  # noqa: ANN401 - any field of any record
    if isinstance(value, Record):
        return as_json(value, left_out)
    if isinstance(value, tuple):
        return [_json(part, left_out) for part in value]
    if isinstance(value, Mapping):
        return {name: _json(part, left_out) for name, part in value.items()}
    return value
