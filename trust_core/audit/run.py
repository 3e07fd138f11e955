"""One audit from data to decision: the four layers in order, batch by batch, into a folder.

Data gives decoded images, the model its responses, explanation the maps and their overlap
(`scoring.py`), and the decisions are made on what the folder then holds.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from trust_core.audit.decode import Batch
from trust_core.audit.engine import Halving, batch_reader, fitting_batch, run_behind, run_local
from trust_core.audit.folder import (
    adopt_model_pass,
    can_resume,
    claim_folder,
    default_folder,
    reopen_damaged,
    run_status,
)
from trust_core.audit.identity import OUTCOMES, count_outcomes, describe_audit, identify
from trust_core.audit.precision_check import FULL, check_precision
from trust_core.audit.score import (
    NO_SCORE,
    OVERLAP_COLUMNS,
    UNREADABLE,
    overlap_columns,
    score_batch,
)
from trust_core.audit.settings import AuditSettings
from trust_core.data.samples import Dataset
from trust_core.decision.indicators.stored import write_indicators
from trust_core.errors import DataError, StoreError
from trust_core.explanation.evidence.audit_gaussian import running_patch_gaussian
from trust_core.explanation.uncertainty import UNCERTAINTY_COLUMNS
from trust_core.messages import Message, amount
from trust_core.model.detector import Detector
from trust_core.storage.atomic import remove_unfinished
from trust_core.storage.audit_files import (
    EVIDENCE,
    INDICATORS,
    MAPS,
    SAMPLES,
    SCORES,
    Audit,
    open_audit,
)
from trust_core.storage.integrity import describe_files
from trust_core.storage.locks import LOCK, writer_lock
from trust_core.storage.manifest import (
    FINISHED,
    RUNNING,
    FileRecord,
    Manifest,
    Timings,
    read_manifest,
    write_manifest,
)
from trust_core.storage.progress import Progress, progress_writer, read_progress, stopwatch
from trust_core.storage.shards import (
    RETRY,
    SHARDS,
    Shard,
    count_retries,
    merge,
    read_shard_samples,
    table_writer,
    write_shard,
    write_table,
)

if TYPE_CHECKING:
    from trust_core.audit.cluster import Cluster

RESCORE_ROWS = 2048
LOST_IMAGES = 32  # one after the other that were listed and cannot be read: the drive has gone
# What the manifest says of the model pass itself, whatever is applied to it later.
OF_MODEL_PASS = (
    *("maps", "depths", "timings", "batch_size", "created", "libraries", "machine", "precision"),
)
PASS_COLUMNS = [
    *("sample_id", "log_odds", "p_defect", "predicted", "status", "reason"),
    *UNCERTAINTY_COLUMNS,
]


def run_audit(
    detector: Detector,
    dataset: Dataset,
    settings: AuditSettings | None = None,
    out: Path | None = None,
    *,
    origin: Mapping[str, Any] | None = None,
    command: Sequence[str] = (),
    progress: Callable[[Progress], None] = lambda _: None,
    batch_size: int | None = None,
    memory: int | None = None,
    cluster: "Cluster | None" = None,
) -> Audit:
    """Audit a detector on a data set; resumes a run that was stopped.

    The model pass is never computed twice: where the folder, or another audit in the workspace, has
    it already, only labels, groups, roles and the mask rule are applied anew.

    Args:
        detector: the classifier under audit.
        dataset: the labelled images.
        settings: what to compute; the defaults when None.
        out: the audit folder; a folder in the workspace, named by the hashes, when None.
        origin: how the model was opened (`path`, `options`), so that it can be opened again; only
            noted in the manifest.
        command: the words of the command line that asks for it; only noted in the manifest.
        progress: called after each batch.
        batch_size: images a pass; as many as `memory` holds when None. Scores do not depend on it.
        memory: bytes for one pass; a cautious share of what is free when None. A batch that fails
            for want of memory is halved.
        cluster: run the batches on a Ray cluster; in this process when None. Scores do not depend
            on it, and a run that was stopped may go on with either.

    Raises:
        DataError: not one image can be read.
        EngineError: there is no such cluster, or its workers fail.
        StoreError: the folder cannot be used.
    """
    settings = settings or AuditSettings()
    identity = identify(detector, dataset, settings)
    folder = out if out is not None else default_folder(identity, settings)
    manifest = describe_audit(detector, dataset, settings, identity, origin or {}, command)
    busy = f"{folder} is being written by another run; wait until it ends, or stop it"
    try:
        created = claim_folder(folder, identity)
        with writer_lock(folder / LOCK, busy):
            try:
                remove_unfinished(folder)
                adopt_model_pass(folder, identity)
                reopen_damaged(folder)
                if run_status(folder) != FINISHED:
                    size = batch_size or fitting_batch(detector, memory)
                    manifest = _run_model(
                        detector, dataset, settings, folder, manifest, size, progress, cluster
                    )
                _finish(folder, dataset, settings, manifest)
            finally:
                if created and not can_resume(folder):
                    shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise StoreError(
            Message(
                "Cannot write the audit to {folder}: {reason}; make room there, see to its rights, "
                "or choose another folder ({out}).",
                folder=folder,
                reason=error.strerror or error,
            )
        ) from error
    return open_audit(folder)


def _run_model(
    detector: Detector,
    dataset: Dataset,
    settings: AuditSettings,
    folder: Path,
    manifest: Manifest,
    batch_size: int,
    progress: Callable[[Progress], None],
    cluster: "Cluster | None" = None,
) -> Manifest:
    """Score what no shard holds yet, then merge the shards; the manifest with what that gave.

    All shards have the mask rule of the first, which the manifest then names.
    """
    if run_status(folder) == RUNNING:
        earlier = read_manifest(folder)
        if not earlier.depths:  # its shards hold no activations
            shutil.rmtree(folder / SHARDS, ignore_errors=True)
        batch_size, settings = earlier.batch_size, replace(settings, mask=earlier.mask)
        manifest = replace(manifest, precision=earlier.precision, mask=earlier.mask)
    manifest = replace(manifest, batch_size=batch_size)
    write_manifest(folder, manifest)
    surroundings = (
        running_patch_gaussian(folder, dataset, detector.preprocessing)
        if settings.evidence
        else None
    )
    total = len(dataset.samples)
    starts = range(0, total, batch_size)
    retries = {i: count_retries(folder, i) for i in range(len(starts))}  # of shards that are there
    missing = [i for i, count in retries.items() if count != 0]
    finished = sum(
        min(batch_size, total - starts[i]) for i, count in retries.items() if count is not None
    )
    measure, note = stopwatch(finished, read_progress(folder)), progress_writer(folder)
    done, lost = finished, 0

    def scorer(settings: AuditSettings) -> Halving:
        return Halving(lambda batch: score_batch(detector, settings, batch, surroundings))

    score = scorer(settings)

    def work(loaded: tuple[int, Batch]) -> tuple[int, Shard]:
        index, batch = loaded
        return index, score(batch)

    def save(worked: tuple[int, Shard]) -> int:
        nonlocal lost
        index, shard = worked
        images, failed, before = len(shard.samples), int(shard.samples[RETRY].sum()), retries[index]
        if before is None or failed < before:
            write_shard(folder, index, shard)
            retries[index] = failed
        lost = lost + failed if failed == images else 0
        if lost >= LOST_IMAGES or (lost and not dataset.root.is_dir()):
            raise DataError(
                f"The images in {dataset.root} are no longer there as they were listed (the last "
                f"of them: {str(shard.samples['reason'].iloc[-1]).rstrip('.')}); what is finished "
                "is kept: put them back and run the same command again, which goes on from there."
            )
        return images if before is None else 0  # one that is tried again was counted

    with batch_reader(detector, dataset) as read:

        def load(index: int) -> tuple[int, Batch]:
            return index, read(slice(starts[index], starts[index] + batch_size))

        if settings.precision != FULL and not manifest.precision:
            check = check_precision(
                lambda settings, batch: scorer(settings)(batch),
                settings,
                (load(index)[1] for index in missing),
            )
            manifest = replace(manifest, precision=check)
            write_manifest(folder, manifest)

        def results(indices: Sequence[int]) -> Iterator[tuple[int, Shard]]:
            if cluster is None:
                return run_local(indices, load, work)
            from trust_core.audit.cluster import run_on_cluster

            jobs = {i: slice(starts[i], starts[i] + batch_size) for i in indices}
            return run_on_cluster(cluster, detector, dataset, settings, surroundings, jobs)

        for count in run_behind(results(missing), save):
            done += count
            state = measure(done, total)
            progress(state)
            note(state)
        again = [i for i in missing if retries[i]]  # a drive may be back by now
        for _ in run_behind(results(again), save):
            pass
    answers = (read_shard_samples(folder, index) for index in range(len(starts)))
    if all((part["status"] == UNREADABLE).all() for part in answers):  # ends at the first other
        reason = read_shard_samples(folder, 0)["reason"].iloc[0]
        shutil.rmtree(folder)
        raise DataError(
            f"Of {amount(total, 'image', 'images')} in {dataset.root} none can be read (the first: "
            f"{reason}); check the files and run again."
        )
    scales = merge(folder, len(starts), {entry.name: entry.file for entry in manifest.maps})
    return replace(
        manifest,
        maps=tuple(replace(e, display_scale=scales[e.name]) for e in manifest.maps),
        timings=Timings(seconds=measure(total, total).seconds, images=total),
    )


def _finish(folder: Path, dataset: Dataset, settings: AuditSettings, manifest: Manifest) -> None:
    """Apply labels, roles and the mask rule to a complete model pass; the manifest says so."""
    outdated = not (folder / INDICATORS).exists()
    scored_by = manifest.mask
    known: Mapping[str, FileRecord] = {}
    if run_status(folder) == FINISHED:
        earlier = read_manifest(folder)
        known, scored_by = earlier.files, earlier.mask
        write_manifest(folder, replace(earlier, files={}))  # until they are what it says again
        outdated |= earlier.table != manifest.table
        manifest = replace(manifest, **{name: getattr(earlier, name) for name in OF_MODEL_PASS})
    if scored_by != settings.mask:
        rescore(folder, manifest, settings.mask)
        manifest, outdated = replace(manifest, mask=settings.mask), True
    passed = pd.read_parquet(folder / SAMPLES)[PASS_COLUMNS]
    samples = dataset.samples.merge(passed, on="sample_id", validate="one_to_one")
    answers = zip(samples["label"], samples["predicted"].fillna(-1), strict=True)
    samples["outcome"] = [OUTCOMES.get((int(y), int(d)), "") for y, d in answers]
    write_table(folder / SAMPLES, samples)
    if outdated:
        if not settings.evidence:  # roles may have been sealed since it was fitted to images
            (folder / EVIDENCE).unlink(missing_ok=True)
        write_indicators(Audit(folder, manifest))
    by_role, by_split = (
        {name: count_outcomes(part) for name, part in samples.groupby(column, sort=False)}
        for column in ("role", "split")
    )
    unscored = (samples["status"] == NO_SCORE) & samples["outcome"].isin(["FN", "TN"])
    manifest = replace(
        manifest,
        status=FINISHED,
        counts=count_outcomes(samples),
        counts_by_role=by_role,
        counts_by_split=by_split,
        unreadable=int((samples["status"] == UNREADABLE).sum()),
        unscored=int(unscored.sum()),
        files=describe_files(folder, known),
    )
    write_manifest(folder, manifest)
    # How far it was stays: who looks on until the worker has ended must not see it begin again.
    shutil.rmtree(folder / SHARDS, ignore_errors=True)


def rescore(folder: Path, manifest: Manifest, rule: str) -> None:
    """Score the kept maps with another mask rule, some rows at a time; no model runs."""
    names = ["defect", "good", manifest.settings.agnostic[0]]
    files = {e.name: folder / MAPS / e.file for e in manifest.maps if e.name in names}
    maps = {name: np.load(path, mmap_mode="r") for name, path in files.items()}
    start = 0
    with pq.ParquetFile(folder / SCORES) as before, table_writer(folder / SCORES) as write:
        for batch in before.iter_batches(RESCORE_ROWS):
            scores = batch.to_pandas()
            rows = slice(start, start + len(scores))
            piece = {name: np.array(values[rows]) for name, values in maps.items()}
            found = overlap_columns(scores["log_odds"].to_numpy(), piece, names[2], rule)
            scores[OVERLAP_COLUMNS] = pd.DataFrame(found)
            write(scores)
            start += len(scores)
