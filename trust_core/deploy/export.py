"""Exporting a guard: everything that decides, out of an audit and into a folder of its own."""

import hashlib
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_tensors

from trust_core.audit.reopen import model_path, reopen_detector
from trust_core.decision.certificate import Demand, check_share
from trust_core.decision.curves import scored
from trust_core.decision.indicators.stored import Material
from trust_core.decision.tuning.autotune import tune_overlaps
from trust_core.deploy.golden import (
    EXPECTED_INDICATOR,
    PIXELS,
    POLICY_ENTRY,
    Golden,
    given,
)
from trust_core.deploy.guard import GuardCheck, check_guard, open_guard
from trust_core.deploy.indicators import (
    FITTED_INDICATORS,
    needs_of,
    strengths_of,
    takes_all_strengths,
)
from trust_core.deploy.inspection import Arrays
from trust_core.deploy.measure import MAPS as NEEDS_MAPS
from trust_core.deploy.operating_point import (
    DeployedPoint,
    certificate_of,
    tolerance_of,
)
from trust_core.deploy.policy import (
    BY_ARGMAX,
    BY_THRESHOLD,
    FITTED,
    GOLDEN,
    ONNX_GUARD,
    ONNX_NETWORK,
    POLICY,
    README,
    DecisionRule,
    MapForms,
    Policy,
    policy_text,
    write_guard_sums,
)
from trust_core.deploy.readme import readme
from trust_core.deploy.reference import line_reference, save_reference
from trust_core.errors import DataError, ModelError, StoreError, UnreadableImage, file_errors
from trust_core.explanation.evidence.audit_gaussian import UNSEALED_ROLES, audit_patch_gaussian
from trust_core.explanation.evidence.evidence_maps import evidence_window
from trust_core.explanation.map_forms import EVIDENCE_FORM, map_forms
from trust_core.model.detector import Detector
from trust_core.model.onnx import copy_as_one_file
from trust_core.model.open import open_detector
from trust_core.storage.atomic import replacing
from trust_core.storage.audit_files import EVIDENCE, SAMPLES, SCORES, Audit
from trust_core.storage.manifest import MANIFEST

GOLDEN_PASSED, GOLDEN_DEFECTIVE = 6, 2


def export_guard(
    audit: Audit,
    out: Path,
    point: DeployedPoint,
    *,
    demand: Demand | None = None,
    audit_rate: float = 0.0,
    detector: Detector | None = None,
    onnx: bool = False,
) -> Policy:
    """Write the guard of an audit into a new folder, and try it there.

    Args:
        audit: a finished audit whose model file and photographs are where they were.
        out: the folder; must not be there, or be empty.
        point: of `point_to_deploy`.
        demand: what its threshold should be proven to hold; 95 % with 95 % confidence when None.
        audit_rate: share of the unflagged passed parts that is inspected all the same.
        detector: what was audited, where its architecture is your own and no file of it is known;
            such a guard is loaded with `Guard.load(folder, module=...)`.
        onnx: also write the whole guard as one ONNX graph.

    Raises:
        StoreError: the folder is taken, or cannot be written.
        ModelError: the model file is gone, another one, or gives other numbers than in the audit.
        DataError: no photograph for the golden vectors can be read.
        SettingsError: an indicator that the audit does not have.
    """
    check_share("audit rate", audit_rate)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StoreError(f"{out} is there already; choose another folder for the guard.")
    material = Material(audit, pd.read_parquet(audit.folder / SAMPLES))
    known = FITTED_INDICATORS.get(point.indicator)
    scored(audit, ["tune"], point.indicator, point.strength)  # or the audit does not have it
    fitted = known.fit(material) if known else {}
    policy = _policy(audit, point, demand or Demand(0.95), audit_rate)
    if takes_all_strengths(fitted):
        policy = _of_profile(audit, policy)
    own = detector.module if detector else None
    detector = detector or _reopened(audit, policy)
    file = None if own else model_path(audit)
    if file and file.suffix.lower() == ".onnx":
        policy = replace(policy, weights=ONNX_NETWORK)
    golden = _golden(audit, policy, detector)
    with file_errors(
        f"Cannot write the guard to {out}",
        "make room there, see to its rights, or choose another folder",
    ):
        out.parent.mkdir(parents=True, exist_ok=True)
        if out.exists():
            out.rmdir()
        with replacing(out) as folder:
            folder.mkdir()
            _write_network(file, detector, folder / policy.weights)
            if fitted:
                save_file(
                    {name: np.array(v, order="C") for name, v in fitted.items()}, folder / FITTED
                )
            if EVIDENCE_FORM in (*policy.maps.specific, *policy.maps.agnostic):
                audit_patch_gaussian(audit, evidence_window(detector.preprocessing.size))
                shutil.copy(audit.folder / EVIDENCE, folder / EVIDENCE)
            reference = line_reference(audit, point.indicator, point.strength)
            save_reference(reference, folder)
            text = policy_text(policy)
            (folder / POLICY).write_text(text, encoding="utf-8")
            guard = open_guard(folder, module=own)
            indicator = given(guard, golden)[EXPECTED_INDICATOR]
            save_file(
                golden.expected | {PIXELS: golden.pixels, EXPECTED_INDICATOR: indicator},
                folder / GOLDEN,
                {POLICY_ENTRY: text},
            )
            if onnx:
                from trust_core.deploy.onnx_graph import export_graph  # with what only this needs

                export_graph(folder / ONNX_GUARD, policy, guard.detector, fitted)
            (folder / README).write_text(readme(policy), encoding="utf-8")
            write_guard_sums(folder)
            check = check_guard(folder, module=own)
            if onnx and check.ok:
                from trust_core.deploy.onnx_guard import load_onnx_guard, onnx_differences

                check = GuardCheck(onnx_differences(load_onnx_guard(folder, verify=False)))
            if not check.ok:
                raise ModelError(
                    "The exported guard does not give what the audit says: "
                    f"{' '.join(check.differences)} Nothing was written; run the audit again with "
                    "this version of the program, then export."
                )
    return policy


def _policy(audit: Audit, point: DeployedPoint, demand: Demand, audit_rate: float) -> Policy:
    manifest = audit.manifest
    settings, model = manifest.settings, manifest.model
    threshold = settings.decision_threshold
    policy = Policy(
        threshold=point.threshold,
        tolerance=tolerance_of(audit, point),
        strength=point.strength,
        indicator=point.indicator,
        decision=DecisionRule(
            rule=BY_ARGMAX if threshold is None else BY_THRESHOLD, threshold=threshold
        ),
        layer=manifest.layer,
        layers=(manifest.layer,),
        maps=MapForms(specific=settings.specific[:1], agnostic=settings.agnostic[:1]),
        mask=manifest.mask,
        direction=settings.direction,
        pgd_steps=settings.pgd_steps,
        precision=settings.precision,
        preprocessing=model.preprocessing,
        convention=model.convention,
        architecture=model.architecture,
        model_sha256=model.sha256,
        audit_sha256=hashlib.sha256((audit.folder / MANIFEST).read_bytes()).hexdigest(),
        data_sha256=manifest.data.sha256,
        chosen_by=point.chosen_by,
        why=point.why,
        certificate=certificate_of(audit, point, demand),
        audit_rate=audit_rate,
        created=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    )
    if point.indicator == "best_overlap":
        return _of_best_overlap(audit, policy)
    if point.indicator == "evidence_mass" and settings.specific[0] != EVIDENCE_FORM:
        forms = (settings.specific[0], EVIDENCE_FORM)
        policy = replace(policy, maps=replace(policy.maps, specific=forms))
    return replace(
        policy,
        needs=needs_of(point.indicator),
        strengths=strengths_of(point.indicator, point.strength),
    )


def _of_best_overlap(audit: Audit, policy: Policy) -> Policy:
    """The forms, mask rule and ε that autotune chose; the same search finds them again."""
    found = tune_overlaps(audit).search.candidate
    return replace(
        policy,
        variant=found.variant,
        strengths=strengths_of(found.variant, found.strength),
        needs=needs_of(found.variant),
        layer=found.recipe.layer,
        layers=(found.recipe.layer,),
        maps=MapForms(specific=(found.recipe.specific,), agnostic=(found.recipe.agnostic,)),
        mask=found.recipe.mask,
    )


def _of_profile(audit: Audit, policy: Policy) -> Policy:
    """Every layer, form and strength of the audit."""
    settings = audit.manifest.settings
    return replace(
        policy,
        strengths=audit.strengths[1:],
        layers=tuple(dict.fromkeys(entry.layer for entry in audit.manifest.maps)),
        maps=MapForms(specific=settings.specific, agnostic=settings.agnostic),
    )


def _reopened(audit: Audit, policy: Policy) -> Detector:
    """The audited model with the explanation layers that the policy takes."""
    return reopen_detector(
        audit,
        lambda path, options: open_detector(
            path, replace(options, layers=policy.layers), device="cpu"
        ),
    )


def _write_network(file: Path | None, detector: Detector, path: Path) -> None:
    """The weights as safetensors; an ONNX file as it is, with the weights beside it inside."""
    if file and path.name == ONNX_NETWORK:
        copy_as_one_file(file, path)
        return
    state = detector.module.state_dict()
    # A copy each: names that share a tensor may not share it in the file.
    save_tensors({name: t.detach().cpu().clone().contiguous() for name, t in state.items()}, path)


def _golden(audit: Audit, policy: Policy, detector: Detector) -> Golden:
    """Golden parts of the open roles, with what the audit itself has measured of them."""
    rows, pixels = _golden_parts(audit, detector)
    ids = [str(row) for row in rows["sample_id"]]
    scores = pd.read_parquet(audit.folder / SCORES, filters=[("sample_id", "in", ids)])
    expected: Arrays = {}
    names = _kept_names(audit, policy) if NEEDS_MAPS in policy.needs else {}
    for strength in (0.0, *policy.strengths):
        at = scores[scores["strength"] == strength].set_index("sample_id").reindex(ids)
        known = at["row"].notna().to_numpy()
        places = at["row"].fillna(0).astype(int).to_numpy()
        expected[f"log_odds@{strength:g}"] = at["log_odds"].to_numpy(dtype=np.float64)
        for name, kept in names.items():
            maps = np.array(audit.maps(kept)[places])
            maps[~known] = 0
            expected[f"{name}@{strength:g}"] = maps
            scale = at[f"scale_{kept}"].fillna(0).to_numpy(dtype=np.float32)
            expected[f"scale_{name}@{strength:g}"] = scale
    return Golden(pixels, expected, "")


def _golden_parts(audit: Audit, detector: Detector) -> tuple[pd.DataFrame, npt.NDArray[np.uint8]]:
    """Some readable parts, spread over z: passed ones, and a few that are called defective."""
    table = audit.query(
        """SELECT sample_id, path, outcome IN ('FN', 'TN') AS passed FROM samples
           WHERE list_contains(?, role) AND outcome <> '' AND isfinite(log_odds)
           ORDER BY log_odds, sample_id""",
        [list(UNSEALED_ROLES)],
    )
    chosen, pixels = [], []
    for passed, wanted in ((True, GOLDEN_PASSED), (False, GOLDEN_DEFECTIVE)):
        part = table[table["passed"] == passed]
        for place in np.unique(np.linspace(0, len(part) - 1, min(wanted, len(part))).round()):
            row = part.iloc[int(place)]
            try:
                image = detector.preprocessing.read(audit.data_file(row["path"]))
            except UnreadableImage:
                continue  # of those that are there, enough are left
            chosen.append(row)
            pixels.append(detector.preprocessing.pixels(image))
    if not chosen:
        raise DataError(
            f"A guard needs golden vectors, and no photograph of train or tune can be read in "
            f"{audit.manifest.data.root}; put the images back, then export."
        )
    return pd.DataFrame(chosen), np.stack(pixels)


def _kept_names(audit: Audit, policy: Policy) -> dict[str, str]:
    """Name of a map in the guard -> name of the same map in the audit."""
    settings = audit.manifest.settings
    in_audit = {
        (form, name.rpartition("_")[2]): name
        for name, form in map_forms(settings.specific, settings.agnostic)
    }
    files = {(entry.layer, entry.map): entry.name for entry in audit.manifest.maps}
    found = {}
    for layer in policy.layers:
        for name, form in map_forms(policy.maps.specific, policy.maps.agnostic):
            key = name if layer == policy.layers[0] else f"{layer}.{name}"
            found[key] = files[layer, in_audit[form, name.rpartition("_")[2]]]
    return found
