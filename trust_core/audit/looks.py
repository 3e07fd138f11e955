"""What a model and its images look like before an audit: asked by a page, answered in a sandbox.

Whatever strangers have made is opened by these functions in a process of their own
(`audit.sandbox`); their arguments and results are plain values that cross to it. A process
keeps the last detectors that it has opened, so that a page which asks four questions of one opens
it once.
"""

from collections.abc import Callable, Hashable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from trust_core.audit.identity import identify
from trust_core.audit.options import DataOptions
from trust_core.audit.settings import AuditSettings, Identity
from trust_core.audit.subject import Look, Subject
from trust_core.data.duplicates import NearDuplicates, near_duplicates
from trust_core.data.layouts import read_dataset
from trust_core.data.samples import Dataset
from trust_core.model.checks.alternatives import CLEARLY_BETTER
from trust_core.model.checks.findings import Expectation, Preflight, Speed
from trust_core.model.checks.fit import norm_warnings
from trust_core.model.checks.input_size import Trials, better_size
from trust_core.model.checks.predictions import read_expected, try_expected
from trust_core.model.checks.preflight import preflight
from trust_core.model.checks.sample_images import previews, small_pictures
from trust_core.model.detector import Detector
from trust_core.model.open import Opener, open_for_audit

Found = TypeVar("Found")
KEPT = 2  # detectors, networks that were traced, and trials of networks
_detectors: dict[Hashable, Detector] = {}
_open = Opener(KEPT)
_no_better_size: dict[Hashable, float] = {}  # the mismatch of the BatchNorm layers then
_size_trials: dict[Hashable, Trials] = {}  # of each network and data set
_speeds: dict[Hashable, Speed] = {}


def read_data(root: Path, reading: DataOptions) -> Dataset:
    """The data set in a folder, as `read_dataset` gives it."""
    return read_dataset(root, **vars(reading))


def look(subject: Subject) -> Look:
    """Open the detector that an audit would have and show it a few images.

    Raises:
        ModelError, SettingsError, DataError: as `open_for_audit`.
    """
    detector = _detector(subject)
    return Look(
        detector.architecture,
        detector.convention,
        tuple(detector.notes),
        previews(detector, subject.data),
    )


def identity(subject: Subject, settings: AuditSettings) -> Identity:
    """What identifies the audit that would be made; raises as `look`."""
    return identify(_detector(subject), subject.data, settings)


def trial(subject: Subject) -> Preflight:
    """A trial pass over a few images, as `preflight`; raises as `look`.

    Another normalisation changes nothing of its speed.
    """
    same = _but_normalisation(subject)
    found = preflight(_detector(subject), subject.data, speed=_speeds.get(same))
    _kept(_speeds, same, lambda: found.speed)
    return found


def normalisations(subject: Subject, found: Preflight) -> list[str]:
    """Whether another normalisation fits better, as `norm_warnings`; raises as `look`."""
    return norm_warnings(_detector(subject), subject.data, found)


def sizes(subject: Subject, found: Preflight) -> list[str]:
    """Whether another size fits the images better, as `better_size`; raises as `look`.

    It takes longest: what was tried is kept for when one of them is chosen. Where none was better
    they are not tried anew because of another normalisation, unless the images fit the network
    clearly better with that.
    """
    same = _but_normalisation(subject)
    options = replace(subject.options, mean=None, std=None, size=None, resize=None)
    network = str(subject.model), options, subject.state
    fit, before = found.mismatch, _no_better_size.get(same)
    if fit is not None and before is not None and fit >= CLEARLY_BETTER * before:
        return []
    trials = _kept(_size_trials, network, dict)
    better = better_size(_detector(subject), subject.data, kept=trials)
    if better:
        return [better]
    if fit is not None:
        _no_better_size[same] = fit
    return []


def expectation(subject: Subject, expect: Path) -> Expectation:
    """How far the user's own predictions are reproduced; raises as `look` and `read_expected`."""
    return try_expected(read_expected(expect, subject.data), _detector(subject), subject.data)


def near_pairs(data: Dataset, most: int) -> tuple[NearDuplicates, list[list[bytes]]]:
    """Pictures that are nearly those of another role, with small PNGs of the first pairs."""
    found = near_duplicates(data)
    return found, [small_pictures(data.root, pair) for pair in found.pairs[:most]]


def _detector(subject: Subject) -> Detector:
    """The detector, ready to run; the last ones are kept."""
    key = str(subject.model), subject.options, subject.state
    return _kept(
        _detectors,
        key,
        lambda: open_for_audit(subject.model, subject.options, subject.data, _open),
    )


def _but_normalisation(subject: Subject) -> Hashable:
    """The same for all subjects that differ by mean and standard deviation alone."""
    return str(subject.model), replace(subject.options, mean=None, std=None), subject.state


def _kept(store: dict[Hashable, Found], key: Hashable, make: Callable[[], Found]) -> Found:
    """What belongs to a key; the last `KEPT` ones are kept."""
    if key not in store:
        while len(store) >= KEPT:
            del store[next(iter(store))]
        store[key] = make()
    return store[key]
