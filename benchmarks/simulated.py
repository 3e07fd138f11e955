"""A finished audit of as many images as one likes: real format, simulated scores, streamed.

Maps, features and masks are sparse files, so that a million images at eight strengths take less
than a gigabyte of disk; the photographs are a thousand small ones under a million names.
"""

import hashlib
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from trust_core.audit.identity import LIBRARIES
from trust_core.audit.run import PASS_COLUMNS
from trust_core.audit.score import NO_SCORE, UNREADABLE
from trust_core.audit.settings import AuditSettings
from trust_core.data.samples import SAMPLE_COLUMNS, sample_id
from trust_core.decision.indicators.registry import ABSENT
from trust_core.explanation.overlap import CONSTANT, SCORED
from trust_core.explanation.uncertainty import UNCERTAINTY_COLUMNS
from trust_core.storage.atomic import write_json
from trust_core.storage.audit_files import FEATURES, INDICATORS, MAPS, SAMPLES, SCORES
from trust_core.storage.manifest import FINISHED, MANIFEST, SCHEMA_VERSION
from trust_core.storage.shards import table_writer

CHUNK = 20_000  # images that are made at a time
GRID, FEATURE_WIDTH = (7, 7), 512
PHOTOGRAPHS, PHOTOGRAPH = 1000, 128  # how many differ, and their side in pixels
KINDS = np.array(["crack", "pit", "scratch", "stain", "dent"])
OUTCOMES = ("FN", "TN", "TP", "FP")
SHARES = (0.03, 0.93, 0.03, 0.01)
ROLES, ROLE_SHARES = ("tune", "certify", "test"), (0.4, 0.4, 0.2)
# What `autotune` adds is left out, as it is from most audits.
RIVALS = [name for name in ABSENT if name not in ("best_overlap", "overlap_profile", "tta_spread")]


def write_simulated(folder: Path, images: int, roles: tuple[str, ...] = ROLES) -> None:
    """Write the folder of a finished audit, and its photographs beside it in `NAME-images`.

    Args:
        folder: the audit folder; made.
        images: how many; two photographs show one part.
        roles: of the images, in the shares of `ROLE_SHARES`.
    """
    draw, settings = np.random.default_rng(0), AuditSettings()
    root = folder.parent / f"{folder.name}-images"
    names = write_photographs(root, images)
    names = sorted(names, key=sample_id)
    (folder / MAPS).mkdir(parents=True)
    counts: dict[str, dict[str, int]] = {}
    unreadable = unscored = row = 0
    with (
        table_writer(folder / SAMPLES) as write_samples,
        table_writer(folder / SCORES) as write_scores,
        table_writer(folder / INDICATORS) as write_indicators,
    ):
        for start in range(0, images, CHUNK):
            samples = _samples(names[start : start + CHUNK], roles, draw)
            scores = _scores(samples, settings.strengths, draw).assign()
            scores.insert(0, "row", np.arange(row, row + len(scores)))
            row += len(scores)
            write_samples(samples)
            write_scores(scores)
            write_indicators(_indicators(samples, draw))
            for role, part in samples.groupby("role"):
                known = counts.setdefault(str(role), {name.lower(): 0 for name in OUTCOMES})
                for name in OUTCOMES:
                    known[name.lower()] += int((part["outcome"] == name).sum())
            unreadable += int((samples["status"] == UNREADABLE).sum())
            without = (samples["status"] == NO_SCORE) & samples["outcome"].isin(["FN", "TN"])
            unscored += int(without.sum())
    maps = _write_maps(folder, row, settings, draw)
    shape = (images, FEATURE_WIDTH)
    np.lib.format.open_memmap(folder / FEATURES, "w+", np.float16, shape).flush()
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "model_pass": hashlib.sha256(f"{images} {roles}".encode()).hexdigest(),
        "table": "0" * 64,
        "mask": settings.mask,
        "settings": asdict(settings),
        "model": {
            "architecture": "simulated",
            "sha256": "0" * 64,
            "convention": {"outputs": 2, "defect": [1], "good": [0], "sign": 1},
            "preprocessing": {
                "size": [224, 224],
                "resize": "stretch",
                "interpolation": "bilinear",
                "channels": "rgb",
                "mean": [0.5],
                "std": [0.5],
            },
            "notes": [],
        },
        "layer": "layer4",
        "grid": list(GRID),
        "maps": maps,
        "depths": [],
        "mask_head": None,
        "data": {
            "root": str(root.resolve()),
            "sha256": "1" * 64,
            "layout": "CSV",
            "good": [],
            "notes": [],
        },
        "libraries": dict.fromkeys(LIBRARIES, "simulated"),
        "machine": "simulated",
        "created": "2026-05-04T03:02:01+0000",
        "batch_size": 64,
        "timings": {"seconds": 3600.0, "images": images},
        "counts": {k: sum(part[k] for part in counts.values()) for k in ("tp", "fn", "tn", "fp")},
        "counts_by_role": counts,
        "counts_by_split": counts,
        "unreadable": unreadable,
        "unscored": unscored,
        "status": FINISHED,
    }
    write_json(folder / MANIFEST, manifest)


def write_photographs(root: Path, images: int) -> list[str]:
    """A few photographs under as many names as wanted: each lot is a link to the same folder."""
    draw = np.random.default_rng(1)
    source = root / ".photographs"
    source.mkdir(parents=True)
    for index in range(min(PHOTOGRAPHS, images)):
        pixels = draw.integers(90, 140, (PHOTOGRAPH // 8, PHOTOGRAPH // 8)).astype(np.uint8)
        picture = Image.fromarray(pixels).resize((PHOTOGRAPH, PHOTOGRAPH))
        picture.save(source / f"{index:03d}.jpg")
    lots = -(-images // PHOTOGRAPHS)
    for lot in range(lots):
        (root / f"lot {lot:04d}").symlink_to(source.name)
    names = [f"lot {n // PHOTOGRAPHS:04d}/{n % PHOTOGRAPHS:03d}.jpg" for n in range(images)]
    return names


def _samples(names: list[str], roles: tuple[str, ...], draw: np.random.Generator) -> pd.DataFrame:
    count = len(names)
    shares = np.array(ROLE_SHARES[: len(roles)])
    part = np.repeat(draw.integers(0, 2**48, -(-count // 2)), 2)[:count]
    role_of = np.repeat(draw.choice(roles, -(-count // 2), p=shares / shares.sum()), 2)[:count]
    outcome = draw.choice(OUTCOMES, count, p=SHARES)
    defective = np.isin(outcome, ("FN", "TP"))
    alarm = np.isin(outcome, ("TP", "FP"))
    log_odds = np.where(alarm, 1, -1) * np.abs(draw.normal(3 - 1.2 * (outcome == "FN"), 1.2, count))
    status = draw.choice([SCORED, NO_SCORE, UNREADABLE], count, p=[0.9988, 0.001, 0.0002])
    lost = status == UNREADABLE
    log_odds[lost] = np.nan
    text = {
        "sample_id": [sample_id(name) for name in names],
        "path": names,
        "sha256": [""] * count,  # of photographs that are there for their number alone
    }
    table = pd.DataFrame(
        text
        | {
            "label": defective.astype(np.int8),
            "kind": np.where(defective, draw.choice(KINDS, count), ""),
            "split": role_of,
            "role": role_of,
            "group": [f"part {n:012x}" for n in part],
            "mask_path": "",
            "log_odds": log_odds,
            "p_defect": 1 / (1 + np.exp(-log_odds)),
            "predicted": pd.array(alarm.astype(np.int8), dtype="Int8"),
            "status": status,
            "reason": np.select(
                [lost, status == NO_SCORE], ["the file is cut short", CONSTANT], ""
            ),
            **{name: draw.normal(size=count) for name in UNCERTAINTY_COLUMNS},
            "outcome": np.where(lost, "", outcome),
        }
    )
    table.loc[lost, "predicted"] = pd.NA
    assert list(table) == [*SAMPLE_COLUMNS, *PASS_COLUMNS[1:], "outcome"]
    return table


def _scores(
    samples: pd.DataFrame, strengths: tuple[float, ...], draw: np.random.Generator
) -> pd.DataFrame:
    """A row a readable image and strength; images that are not passed have the first one only."""
    passed = samples["outcome"].isin(["FN", "TN"]).to_numpy()
    times = np.where(passed, len(strengths), np.where(samples["outcome"] == "", 0, 1))
    image = np.repeat(np.arange(len(samples)), times)
    step = np.arange(len(image)) - np.repeat(np.cumsum(times) - times, times)
    missed = (samples["outcome"] == "FN").to_numpy()[image]
    own = draw.normal(-0.2, 0.15, len(samples))[image]
    delta = np.clip(own + 0.3 * missed + draw.normal(0, 0.12, len(image)), -1, 1)
    delta[(samples["status"] == NO_SCORE).to_numpy()[image]] = np.nan
    return pd.DataFrame(
        {
            "sample_id": samples["sample_id"].to_numpy()[image],
            "strength": np.array(strengths)[step],
            "log_odds": samples["log_odds"].to_numpy()[image] + 0.3 * np.array(strengths)[step],
            "iou_defect": 0.5 + delta / 2,
            "iou_good": 0.5 - delta / 2,
            "iou_difference": delta,
            "status": np.where(np.isnan(delta), CONSTANT, SCORED),
            **{
                f"scale_{name}": draw.random(len(image), dtype=np.float32)
                for name in AuditSettings().map_names
            },
        }
    )


def _indicators(samples: pd.DataFrame, draw: np.random.Generator) -> pd.DataFrame:
    passed = samples[samples["outcome"].isin(["FN", "TN"])]
    missed = (passed["outcome"] == "FN").to_numpy()
    rivals = {name: draw.normal(missed * (0.1 * n), 1.0) for n, name in enumerate(RIVALS)}
    return pd.DataFrame({"sample_id": passed["sample_id"].to_numpy(), **rivals})


def _write_maps(
    folder: Path, rows: int, settings: AuditSettings, draw: np.random.Generator
) -> list[dict[str, object]]:
    """Sparse files with noise in the rows of the first images; the others are zero."""
    entries: list[dict[str, object]] = []
    for name in settings.map_names:
        file = f"layer4.{name}.npy"
        values: npt.NDArray[np.float16] = np.lib.format.open_memmap(
            folder / MAPS / file, "w+", np.float16, (rows, *GRID)
        )
        some = min(rows, CHUNK)
        values[:some] = draw.random((some, *GRID)).astype(np.float16)
        values.flush()
        entries.append(
            {
                "name": name,
                "layer": "layer4",
                "map": name,
                "file": file,
                "grid": list(GRID),
                "display_scale": 1.0,
            }
        )
    return entries
