"""What a page asks of a model and its images before an audit."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from trust_core.audit import looks
from trust_core.audit.subject import Subject
from trust_core.model.checks.findings import Preflight
from trust_core.model.facts import ModelOptions


def test_another_normalisation_tries_no_size_anew_unless_it_fits_clearly_better(
    monkeypatch: pytest.MonkeyPatch,
):
    tried: list[Subject] = []
    answers = iter(["a size", None, None, None, None])
    monkeypatch.setattr(looks, "_detector", lambda subject: subject)
    monkeypatch.setattr(looks, "_no_better_size", {})
    monkeypatch.setattr(looks, "_size_trials", {})
    stores: list[dict[object, object]] = []

    def better_size(detector: Subject, _: object, kept: dict[object, object]) -> str | None:
        tried.append(detector)
        stores.append(kept)
        return next(answers)

    monkeypatch.setattr(looks, "better_size", better_size)

    def said(mismatch: float | None, **options: Any) -> list[str]:
        subject = Subject(Path("a.pt"), ModelOptions(**options), cast(Any, None), "state")
        return looks.sizes(subject, cast(Preflight, SimpleNamespace(mismatch=mismatch)))

    assert said(0.1) == ["a size"]
    assert said(0.1, mean=(0.4,)) == []  # one was better before: tried again
    assert len(tried) == 2
    assert said(0.1, mean=(0.5,), std=(0.2,)) == []
    assert said(0.08, mean=(0.6,)) == []
    assert len(tried) == 2
    said(0.06, mean=(0.7,))  # under 0.7 of 0.1
    said(0.06, mean=(0.7,), size=(64, 64))
    said(None)  # no layers that tell
    assert len(tried) == 5
    assert all(store is stores[0] for store in stores)  # whatever the size


def test_the_speed_is_measured_once_for_all_normalisations(monkeypatch: pytest.MonkeyPatch):
    given: list[object] = []
    monkeypatch.setattr(looks, "_detector", lambda subject: subject)
    monkeypatch.setattr(looks, "_speeds", {})

    def preflight(_: object, __: object, speed: object) -> SimpleNamespace:
        given.append(speed)
        return SimpleNamespace(speed=speed or f"measured {len(given)}")

    monkeypatch.setattr(looks, "preflight", preflight)
    changes: list[dict[str, Any]] = [{}, {"mean": (0.4,)}, {"std": (0.2,)}, {"size": (64, 64)}]
    for options in changes:
        looks.trial(Subject(Path("a.pt"), ModelOptions(**options), cast(Any, None), "state"))
    assert given == [None, "measured 1", "measured 1", None]
