"""A campaign of faults against one small audit, and of hostile files: `python -m tests.campaign`.

The same audit is made again and again, each time with one fault, and compared with an undisturbed
one: killed at each change of the file system, refused by the disk (full, failing, read-only) at
each change, one bit flipped in each result file, shards cut short, files that fail to be read or
are gone for a while. After a fault the same command is given again without one. Counted are:
anything but a sentence for an error, audits that the same command does not finish, tables or maps
that differ, flips that `doctor` does not notice. Then files of all kinds, mutated and hostile, are
opened in the sandbox of the Run page (`hostile_files`).

    python -m tests.campaign [--quick] [--only faults|files] [--json]
"""

import argparse
import errno
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from tests import hostile_files
from tests.small import small_dataset, small_detector
from trust_core.audit.doctor import examine
from trust_core.audit.run import run_audit
from trust_core.audit.settings import AuditSettings
from trust_core.data import files
from trust_core.data.samples import Dataset
from trust_core.errors import TrustError
from trust_core.model.detector import Detector
from trust_core.storage.audit_files import Audit, open_audit
from trust_core.storage.manifest import MANIFEST, read_manifest
from trust_core.storage.shards import SHARDS

IMAGES, BATCH = 16, 4
SETTINGS = AuditSettings(strengths=(0, 1))
QUICK = 3  # places of each kind of fault in the short form
QUICK_SHARE = 0.02  # of the hostile files
REFUSALS = {"disk full": errno.ENOSPC, "disk fails": errno.EIO, "disk read-only": errno.EROFS}
CHANGES = frozenset(
    ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.link", "shutil.rmtree")
)  # of the file system, as the interpreter announces them; and files opened for writing
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Killed(BaseException):
    """Stands for the death of the process: no `except Exception` of the program stops it."""


@dataclass
class Kind:
    """The results of one kind of fault."""

    name: str
    faults: int = 0
    tracebacks: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    unnoticed: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether nothing went wrong."""
        return not (self.tracebacks or self.stuck or self.wrong or self.unnoticed)


class Fault:
    """Raises once, at the `place`-th change of the file system below a folder.

    The interpreter announces every change (`sys.addaudithook`), also those that libraries make
    through it; `dead` stays true after a kill, because a dead process changes nothing any more.
    """

    def __init__(self) -> None:
        self.folder = ""
        self.place: int | None = None
        self.seen = 0
        self.error: BaseException = Killed()
        self.dead = False
        sys.addaudithook(self._hook)

    def arm(self, folder: Path, place: int | None, error: BaseException) -> None:
        """Raise `error` at the change number `place`; None: only count."""
        self.folder, self.place, self.error = str(folder), place, error
        self.seen, self.dead = 0, False

    def disarm(self) -> None:
        """Let everything pass."""
        self.folder, self.dead = "", False

    def _hook(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self.folder or not (event in CHANGES or event == "open"):
            return
        if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & WRITING):
            return
        if not str(arguments[0]).startswith(self.folder):
            return
        if self.dead:
            raise Killed
        if self.place is not None and self.seen == self.place:
            self.place = None
            self.dead = isinstance(self.error, Killed)
            raise self.error
        self.seen += 1


@dataclass
class Campaign:
    """What all faults share.

    Attributes:
        work: a folder for the audits.
        dataset: the images.
        detector: the network.
        fault: the hook.
        undisturbed: the audit that all others are compared with.
        places: how many places of a kind of fault are tried; None = all.
    """

    work: Path
    dataset: Dataset
    detector: Detector
    fault: Fault
    undisturbed: Audit
    places: int | None

    def run(self, folder: Path) -> Audit:
        """The audit, in this process."""
        return run_audit(self.detector, self.dataset, SETTINGS, folder, batch_size=BATCH)

    def chosen(self, count: int) -> list[int]:
        """Places among `count`, evenly spread."""
        if self.places is None or count <= self.places:
            return list(range(count))
        return [int(place) for place in np.linspace(0, count - 1, self.places)]

    def changes(self) -> int:
        """Changes of the file system that an undisturbed audit makes."""
        folder = self.work / "count"
        self.fault.arm(folder, None, Killed())
        self.run(folder)
        seen = self.fault.seen
        self.fault.disarm()
        shutil.rmtree(folder)
        return seen

    def disturbed(self, kind: Kind, name: str, folder: Path) -> None:
        """Run with whatever fault is armed; only a sentence may come of it."""
        kind.faults += 1
        try:
            self.run(folder)
        except (Killed, TrustError):
            pass
        except Exception as error:
            kind.tracebacks.append(f"{name}: {type(error).__name__}: {error}")
        finally:
            self.fault.disarm()

    def recovered(self, kind: Kind, name: str, folder: Path) -> None:
        """The same command again, without a fault: it has to end as if nothing had been."""
        try:
            audit = self.run(folder)
            if left := [path.name for path in folder.rglob("*.unfinished")]:
                kind.stuck.append(f"{name}: {left} left behind")
            self.compare(kind, name, audit)
        except TrustError as error:
            kind.stuck.append(f"{name}: {error}")
        except Exception as error:
            kind.tracebacks.append(f"{name}, again: {type(error).__name__}: {error}")
        shutil.rmtree(folder, ignore_errors=True)

    def compare(self, kind: Kind, name: str, audit: Audit) -> None:
        """Tables and maps have to be those of the undisturbed audit."""
        for table in ("samples", "scores", "indicators"):
            mine, other = (
                found.query(f"SELECT * FROM {table} ORDER BY ALL")
                for found in (audit, self.undisturbed)
            )
            if not mine.equals(other):
                try:
                    pd.testing.assert_frame_equal(mine, other)
                except AssertionError:
                    kind.wrong.append(f"{name}: {table}")
        for entry in self.undisturbed.manifest.maps:
            one, two = audit.maps(entry.name), self.undisturbed.maps(entry.name)
            if not np.array_equal(one, two, equal_nan=True):
                kind.wrong.append(f"{name}: map {entry.name}")
        if examine(audit.folder)[1]:
            kind.wrong.append(f"{name}: doctor")


def at_changes(campaign: Campaign, name: str, error: Callable[[], BaseException]) -> Kind:
    """One fault at each change of the file system."""
    kind = Kind(name)
    for place in campaign.chosen(campaign.changes()):
        folder = campaign.work / "disturbed"
        campaign.fault.arm(folder, place, error())
        campaign.disturbed(kind, f"{name} at change {place}", folder)
        campaign.recovered(kind, f"{name} at change {place}", folder)
    return kind


def stopped(campaign: Campaign, folder: Path) -> None:
    """Leave an audit that was killed after most of its shards."""

    def stop(state: object) -> None:
        if len(list((folder / SHARDS).glob("[0-9]*"))) >= IMAGES // BATCH - 1:
            raise Killed

    try:
        run_audit(
            *(campaign.detector, campaign.dataset, SETTINGS, folder),
            batch_size=BATCH,
            progress=stop,
        )
    except Killed:
        return
    raise AssertionError("the run was not stopped")


def damaged_shards(campaign: Campaign) -> Kind:
    """Shards as a power cut leaves them: cut short, empty, full of zeros, or with a bit flipped."""
    kind = Kind("power cut in a shard")
    damages: dict[str, Callable[[bytes], bytes]] = {
        "cut": lambda content: content[: len(content) // 2],
        "empty": lambda _: b"",
        "zeros": lambda content: bytes(len(content)),
        "flip": lambda content: flipped(content, len(content) // 2, 3),
    }
    names = ("samples.parquet", "scores.parquet", "arrays.npz", "sha256.json")
    cases = [(file, damage) for file in names for damage in damages]
    for index in campaign.chosen(len(cases)):
        file, damage = cases[index]
        folder = campaign.work / "disturbed"
        stopped(campaign, folder)
        path = folder / SHARDS / "000001" / file
        path.write_bytes(damages[damage](path.read_bytes()))
        kind.faults += 1
        campaign.recovered(kind, f"{file} {damage}", folder)
    for name in ("manifest empty", "manifest gone"):
        folder = campaign.work / "disturbed"
        stopped(campaign, folder)
        (folder / MANIFEST).write_bytes(b"")
        if name.endswith("gone"):
            (folder / MANIFEST).unlink()
        kind.faults += 1
        campaign.recovered(kind, name, folder)
    return kind


def flipped(content: bytes, place: int, bit: int) -> bytes:
    """The content with one bit turned."""
    changed = bytearray(content)
    changed[place] ^= 1 << bit
    return bytes(changed)


def flips(campaign: Campaign) -> Kind:
    """One bit in every result file and in the manifest, at several places; times stay as they were.

    `doctor` has to notice, and the same command has to compute the file anew.
    """
    kind = Kind("one bit flipped")
    folder = campaign.work / "flipped"
    shutil.copytree(campaign.undisturbed.folder, folder)
    names = [MANIFEST, *read_manifest(folder).files]
    draw = np.random.default_rng(0)
    for name in names:
        path = folder / name
        content, status = path.read_bytes(), path.stat()
        for _ in range(20 if campaign.places is None else 2):
            place, bit = int(draw.integers(len(content))), int(draw.integers(8))
            path.write_bytes(flipped(content, place, bit))
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
            kind.faults += 1
            label = f"{name}, byte {place}, bit {bit}"
            if not examine(folder)[1]:
                kind.unnoticed.append(label)
            try:
                open_audit(folder).query("SELECT * FROM samples JOIN scores USING (sample_id)")
            except TrustError:
                pass
            except Exception as error:
                kind.tracebacks.append(f"{label}: {type(error).__name__}: {error}")
            path.write_bytes(content)
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        path.write_bytes(flipped(content, len(content) // 2, 0))
        try:
            campaign.compare(kind, f"{name} computed anew", campaign.run(folder))
        except TrustError as error:
            kind.stuck.append(f"{name}: {error}")
    shutil.rmtree(folder)
    return kind


def reading(campaign: Campaign) -> Kind:
    """Images that fail to be read once, and images that are gone until the audit is resumed."""
    kind = Kind("read errors, drive gone and back")
    original = Path.open
    for index in campaign.chosen(IMAGES):
        name, folder = campaign.dataset.samples["path"][index], campaign.work / "disturbed"
        failures = iter([errno.EIO] * (1 + index % 3))

        def failing(self: Path, *how: object, **more: object) -> object:
            if self.name == name and (number := next(failures, None)):  # noqa: B023 - used at once
                raise OSError(number, os.strerror(number))
            return original(self, *how, **more)  # type: ignore[call-overload]

        Path.open = failing  # type: ignore[method-assign, assignment]
        try:
            kind.faults += 1
            campaign.compare(kind, f"{name} fails to be read", campaign.run(folder))
        except Exception as error:
            kind.tracebacks.append(f"{name}: {type(error).__name__}: {error}")
        finally:
            Path.open = original  # type: ignore[method-assign]
        shutil.rmtree(folder)
    root = campaign.dataset.root
    for batches in range(1, IMAGES // BATCH):
        folder, away = campaign.work / "disturbed", root.with_name("away")

        def unplug(state: object, at: int = batches, folder: Path = folder) -> None:
            if root.exists() and len(list((folder / SHARDS).glob("[0-9]*"))) >= at:
                root.rename(away)  # noqa: B023 - the same in every round

        kind.faults += 1
        try:
            run_audit(
                *(campaign.detector, campaign.dataset, SETTINGS, folder),
                batch_size=1,
                progress=unplug,
            )
        except TrustError:
            pass
        except Exception as error:
            kind.tracebacks.append(f"drive gone: {type(error).__name__}: {error}")
        if away.exists():
            away.rename(root)
        campaign.recovered(kind, f"drive gone after {batches} shards", folder)
    return kind


def all_faults(campaign: Campaign) -> Iterator[Kind]:
    """Every kind of fault, one after the other."""
    yield at_changes(campaign, "killed", Killed)
    for name, number in REFUSALS.items():
        yield at_changes(campaign, name, lambda n=number: OSError(n, os.strerror(n)))  # type: ignore[misc]
    yield damaged_shards(campaign)
    yield flips(campaign)
    yield reading(campaign)


def run_campaign(work: Path, *, quick: bool = False) -> list[Kind]:
    """All faults against one audit in a folder of its own."""
    torch.set_num_threads(1)  # a network of two layers only waits for more of them
    files.PAUSES = (0.0,) * len(files.PAUSES)  # type: ignore[assignment]
    dataset, detector = small_dataset(work / "images", IMAGES), small_detector()
    undisturbed = run_audit(detector, dataset, SETTINGS, work / "undisturbed", batch_size=BATCH)
    places = QUICK if quick else None
    campaign = Campaign(work, dataset, detector, Fault(), undisturbed, places)
    return list(all_faults(campaign))


def main() -> int:
    """Print the tables; 1 when anything went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few of each kind")
    parser.add_argument("--only", choices=("faults", "files"))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    start = time.monotonic()
    kinds: list[Kind] = []
    if options.only != "files":
        with tempfile.TemporaryDirectory() as work:
            kinds = run_campaign(Path(work), quick=options.quick)
    share = QUICK_SHARE if options.quick else 1.0
    opened = [] if options.only == "faults" else list(hostile_files.open_all(share))
    if options.json:
        found = {"faults": kinds, "files": opened}
        print(json.dumps({name: [vars(kind) for kind in each] for name, each in found.items()}))
    else:
        print_faults(kinds)
        print_files(opened)
        print(f"\n{time.monotonic() - start:.0f} s.")
    return 0 if all(kind.is_clean for kind in (*kinds, *opened)) else 1


def print_faults(kinds: list[Kind]) -> None:
    """The table of faults; what went wrong, line by line, on standard error."""
    if not kinds:
        return
    print("| fault | faults | tracebacks | stuck | wrong or lost | unnoticed |")
    print("|---|--:|--:|--:|--:|--:|")
    for kind in kinds:
        wrong = (kind.tracebacks, kind.stuck, kind.wrong, kind.unnoticed)
        print(f"| {kind.name} | {kind.faults} | {' | '.join(str(len(each)) for each in wrong)} |")
        for line in (line for each in wrong for line in each):
            print(f"{kind.name}: {line}", file=sys.stderr)
    print(f"\n{sum(kind.faults for kind in kinds)} faults.\n")


def print_files(kinds: list[hostile_files.Opened]) -> None:
    """The table of hostile files; what went wrong, line by line, on standard error."""
    if not kinds:
        return
    print("| files | tried | opened | executed | crashes | given up | tracebacks | s | MiB |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|")
    for kind in kinds:
        wrong = (kind.crashes, kind.given_up, kind.faults)
        counts = (kind.files, kind.opened, kind.executed, *(len(each) for each in wrong))
        print(
            f"| {kind.name} | {' | '.join(f'{count:,}' for count in counts)} "
            f"| {kind.seconds:.2f} | {kind.memory:.0f} |"
        )
        for line in (line for each in wrong for line in each):
            print(f"{kind.name}: {line}", file=sys.stderr)
    print(f"\n{sum(kind.files for kind in kinds):,} files.")


if __name__ == "__main__":
    sys.exit(main())
