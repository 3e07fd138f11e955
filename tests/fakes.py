"""A finished audit without a detector: its folder in the real format, with scores of one's choice.

`write_fake_audit(folder)` makes a realistic one; `write_fake_audit(folder, parts)` one of exactly
the given images. `tests/test_fakes.py` holds the format to what a real audit writes.
"""

import hashlib
import math
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

from trust_core.audit.identity import OUTCOMES, count_outcomes
from trust_core.audit.run import PASS_COLUMNS
from trust_core.audit.score import NO_SCORE, UNREADABLE
from trust_core.audit.settings import AuditSettings
from trust_core.data.samples import SAMPLE_COLUMNS, sample_id
from trust_core.decision.indicators.probes import fit_probes
from trust_core.decision.indicators.registry import ABSENT
from trust_core.explanation.heatmaps import round_maps
from trust_core.explanation.overlap import CONSTANT, SCORED
from trust_core.explanation.uncertainty import UNCERTAINTY_COLUMNS
from trust_core.storage.atomic import write_json
from trust_core.storage.audit_files import (
    ACTIVATIONS,
    FEATURES,
    INDICATORS,
    MAPS,
    MASKS,
    SAMPLES,
    SCORES,
    Audit,
    open_audit,
)
from trust_core.storage.manifest import FINISHED, MANIFEST, SCHEMA_VERSION, as_json, write_manifest
from trust_core.storage.shards import write_table

GRID = (7, 5)
MASK_GRID = (24, 24)
MAP_NAMES = ("defect", "good", "gradient")
DEPTH = {"layer": "layer4", "channels": 4, "grid": list(GRID)}
KINDS = ("crack", "pit", "scratch")
PICTURE = 48  # pixels a side


@dataclass(frozen=True)
class Part:
    """One image of a fake audit.

    Attributes:
        defective: its label.
        p: probability of *defective* at ε = 0; passed when below 0.5; NaN = unreadable.
        deltas: Δ at each strength; one value serves all of them; NaN = no score.
        role: as used.
        kind: of the defect.
        group: the physical part; "" = a group of its own.
    """

    defective: bool
    p: float
    deltas: tuple[float, ...]
    role: str = "tune"
    kind: str = ""
    group: str = ""


def passed_parts(
    missed: Sequence[float], good: Sequence[float], role: str = "tune", **more: str
) -> list[Part]:
    """Passed images with these Δ (NaN = no score) at every strength; p falls from part to part."""
    labelled = [*((True, score) for score in missed), *((False, score) for score in good)]
    step = 0.4 / max(1, len(labelled))
    return [
        Part(defective, 0.45 - index * step, (score,), role, "crack" if defective else "", **more)
        for index, (defective, score) in enumerate(labelled)
    ]


def random_parts(count: int = 240, seed: int = 0, strengths: int = 3) -> list[Part]:
    """A plausible data set: all roles, kinds, outcomes; two photos a part; some without a score."""
    draw = np.random.default_rng(seed)
    parts = []
    for index in range(count):
        if index % 2 == 0:  # a new physical part
            defective = bool(draw.random() < 0.35)
            role = str(draw.choice(["train", "tune", "certify", "test"], p=[0.1, 0.4, 0.3, 0.2]))
        p = float(1 / (1 + math.exp(-draw.normal(0.3 if defective else -2.5, 1.5))))
        deltas = tuple(
            float(np.clip(draw.normal(0.15 * defective + 0.02 * step, 0.2), -1, 1))
            for step in range(strengths)
        )
        if index % 40 == 5:
            deltas = (math.nan,) * strengths
        if index % 80 == 7:
            p = math.nan
        kind = KINDS[index // 2 % len(KINDS)] if defective else ""
        parts.append(Part(defective, p, deltas, role, kind, f"part {index // 2:03d}"))
    return parts


def write_fake_audit(
    folder: Path,
    parts: Sequence[Part] | None = None,
    *,
    strengths: Sequence[float] = (0.0, 1.0, 4.0),
    seed: int = 0,
    mask_head: bool = False,
) -> Audit:
    """Write the folder of a finished audit, and its images beside it in `NAME-images`.

    The maps are random blobs, rounded as real ones are; they do not lead to the scores.

    Args:
        folder: the audit folder; made.
        parts: the images; `random_parts()` when None.
        strengths: adversarial strengths, 0 first.
        seed: of pictures, maps and features.
        mask_head: write predicted masks too: most defects found, some missed, a few false alarms.
    """
    parts = random_parts(strengths=len(strengths)) if parts is None else parts
    settings = AuditSettings(strengths=tuple(strengths), tta=True)
    draw = np.random.default_rng(seed)
    root = folder.parent / f"{folder.name}-images"
    table = pd.DataFrame([_sample(root, index, part, draw) for index, part in enumerate(parts)])
    table["label"] = table["label"].astype(np.int8)
    table["predicted"] = table["predicted"].astype("Int8")
    order = table.sort_values("sample_id").index
    samples = table.loc[order].reset_index(drop=True)
    scores = _scores(samples, [parts[index] for index in order], settings.strengths)
    scores, maps = _with_maps(scores, draw)

    (folder / MAPS).mkdir(parents=True)
    for name, values in maps.items():
        np.save(folder / MAPS / f"layer4.{name}.npy", values)
    features = draw.normal(size=(len(samples), 16)).astype(np.float16)
    np.save(folder / FEATURES, features)
    activations = np.random.default_rng(seed).normal(size=(len(samples), 3 * DEPTH["channels"]))
    np.save(folder / ACTIVATIONS, activations.astype(np.float16))
    write_table(folder / SAMPLES, samples)
    write_table(folder / SCORES, scores)
    grid = {"grid": list(MASK_GRID)} if mask_head else None
    write_json(
        folder / MANIFEST,
        _manifest(root, samples, scores, settings, seed) | {"mask_head": grid, "depths": [DEPTH]},
    )
    if mask_head:
        np.save(folder / MASKS, _masks(root, samples, seed))
    passed = samples[samples["outcome"].isin(["FN", "TN"])]
    rivals = pd.DataFrame({name: draw.normal(size=len(passed)) for name in ABSENT})
    rivals.insert(0, "sample_id", passed["sample_id"].to_numpy())
    write_table(folder / INDICATORS, rivals)
    audit = open_audit(folder)
    if (probes := fit_probes(audit, samples)) is not None:
        probes.save(folder)
    return audit


def copy_audit(audit: Audit, folder: Path) -> Audit:
    """An audit of its own at `folder`, with copies of the images and of the model, for changes."""
    shutil.copytree(audit.folder, folder)
    data, model = audit.manifest.data, audit.manifest.model
    root = shutil.copytree(data.root, folder.with_name(f"{folder.name}-copied"))
    if model.path:
        copied = folder.with_name(f"{folder.name}-{Path(model.path).name}")
        model = replace(model, path=str(shutil.copy(model.path, copied)))
    moved = replace(audit.manifest, data=replace(data, root=str(root)), model=model)
    write_manifest(folder, moved)
    (folder / INDICATORS).touch()  # another key: what is kept of one is not taken for the other
    return open_audit(folder)


def _sample(root: Path, index: int, part: Part, draw: np.random.Generator) -> dict[str, object]:
    folder = (part.kind or "defective") if part.defective else "good"
    path = f"{folder}/{index:04d}.png"
    mask_path = f"masks/{index:04d}.png" if part.defective else ""
    picture = draw.integers(90, 140, (PICTURE, PICTURE)).astype(np.uint8)
    spot = np.zeros_like(picture)
    if part.defective:
        top, left = draw.integers(4, PICTURE - 12, 2)
        spot[top : top + 8, left : left + 6] = 255
        picture[spot > 0] = 30
        save_picture(root / mask_path, spot)
    save_picture(root / path, picture)
    unreadable = math.isnan(part.p)
    unscored = math.isnan(part.deltas[0]) and not unreadable
    defective = not unreadable and part.p >= 0.5
    values = {
        "sample_id": sample_id(path),
        "path": path,
        "sha256": hashlib.sha256((root / path).read_bytes()).hexdigest(),
        "label": int(part.defective),
        "kind": part.kind,
        "split": part.role,
        "role": part.role,
        "group": part.group or sample_id(path),
        "mask_path": mask_path,
        "log_odds": math.nan if unreadable else math.log(part.p / (1 - part.p)),
        "p_defect": part.p,
        "predicted": pd.NA if unreadable else int(defective),
        "status": UNREADABLE if unreadable else NO_SCORE if unscored else SCORED,
        "reason": "not a PNG file" if unreadable else CONSTANT if unscored else "",
        **{name: math.nan if unreadable else float(draw.normal()) for name in UNCERTAINTY_COLUMNS},
        "outcome": "" if unreadable else OUTCOMES[int(part.defective), int(defective)],
    }
    assert list(values) == [*SAMPLE_COLUMNS, *PASS_COLUMNS[1:], "outcome"]
    return values


def save_picture(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def _scores(
    samples: pd.DataFrame, parts: Sequence[Part], strengths: Sequence[float]
) -> pd.DataFrame:
    rows = []
    for sample, part in zip(samples.itertuples(), parts, strict=True):
        if math.isnan(part.p):
            continue
        passed = sample.outcome in ("FN", "TN")
        deltas = part.deltas * len(strengths) if len(part.deltas) == 1 else part.deltas
        assert len(deltas) == len(strengths)
        for strength, delta in list(zip(strengths, deltas, strict=True))[: None if passed else 1]:
            rows.append(
                {
                    "sample_id": sample.sample_id,
                    "strength": strength,
                    "log_odds": sample.log_odds + 0.3 * strength,
                    "iou_defect": 0.5 + delta / 2,
                    "iou_good": 0.5 - delta / 2,
                    "iou_difference": delta,
                    "status": CONSTANT if math.isnan(delta) else SCORED,
                }
            )
    return pd.DataFrame(rows)


def _with_maps(
    scores: pd.DataFrame, draw: np.random.Generator
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    maps = {}
    for name in MAP_NAMES:
        raw = draw.gamma(0.5, 1.0, (len(scores), *GRID)).astype(np.float32)
        half, scale = round_maps(torch.from_numpy(raw))
        maps[name], scores[f"scale_{name}"] = half.numpy(), scale.numpy()
    return scores.assign(row=np.arange(len(scores))), maps


def _masks(root: Path, samples: pd.DataFrame, seed: int) -> np.ndarray:
    draw = np.random.default_rng(seed + 1)
    masks = draw.uniform(0.02, 0.3, (len(samples), *MASK_GRID)).astype(np.float16)
    for mask, path, status in zip(masks, samples["mask_path"], samples["status"], strict=True):
        if path and draw.random() < 0.75:
            truth = np.asarray(Image.open(root / path)).reshape(MASK_GRID[0], 2, MASK_GRID[1], 2)
            share = truth.mean((1, 3)) / 255
            mask[:] = np.maximum(mask, share * draw.uniform(0.55, 0.95))
        elif not path and draw.random() < 0.1:
            top, left = draw.integers(0, MASK_GRID[0] - 4, 2)
            mask[top : top + 3, left : left + 3] = 0.8
        if status == UNREADABLE:
            mask[:] = np.nan
    return masks


def _manifest(
    root: Path, samples: pd.DataFrame, scores: pd.DataFrame, settings: AuditSettings, seed: int
) -> dict[str, object]:
    content = samples.to_dict("list"), scores.to_dict("list"), settings, seed
    digest = hashlib.sha256(repr(content).encode()).hexdigest()
    maps = [
        {
            "name": name,
            "layer": "layer4",
            "map": name,
            "file": f"layer4.{name}.npy",
            "grid": list(GRID),
            "display_scale": 2.0,
        }
        for name in MAP_NAMES
    ]
    unscored = (samples["status"] == NO_SCORE) & samples["outcome"].isin(["FN", "TN"])
    counts_by = {
        f"counts_by_{column}": {
            name: as_json(count_outcomes(part))
            for name, part in samples.groupby(column, sort=False)
        }
        for column in ("role", "split")
    }
    return {
        "schema_version": SCHEMA_VERSION,
        "model_pass": digest,
        "table": digest[::-1],
        "mask": settings.mask,
        "settings": asdict(settings),
        "model": {
            "architecture": "resnet18",
            "sha256": "0" * 64,
            "convention": {"outputs": 2, "defect": [1], "good": [0], "sign": 1},
            "preprocessing": {
                "size": [PICTURE, PICTURE],
                "resize": "stretch",
                "interpolation": "bilinear",
                "channels": "rgb",
                "mean": [0.5],
                "std": [0.5],
                "antialias": "yes",
                "bits": 16,
                "exif": "upright",
            },
            "notes": [],
        },
        "layer": "layer4",
        "grid": list(GRID),
        "maps": maps,
        "precision": None,
        "data": {
            "root": str(root.resolve()),
            "sha256": "1" * 64,
            "source": "",
            "layout": "class folders",
            "good": ["good"],
            "notes": [],
        },
        "libraries": {"python": "3.11.0", "torch": "2.14.1"},
        "machine": "x86_64, 2 cores, cpu",
        "created": "2026-05-04T03:02:01+0000",
        "batch_size": 32,
        "timings": {"seconds": 12.5, "images": len(samples)},
        "counts": as_json(count_outcomes(samples)),
        "status": FINISHED,
        **counts_by,
        "unreadable": int((samples["status"] == UNREADABLE).sum()),
        "unscored": int(unscored.sum()),
    }
