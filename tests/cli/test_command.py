"""The command that a page shows says what was asked for, and the command line reads it back."""

import json
import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trust_core.audit import jobs
from trust_core.audit.identity import Identity
from trust_core.audit.options import (
    OPTIONS,
    Option,
    audit_settings,
    data_options,
    find,
    indices,
    model_options,
    names,
    number,
    numbers,
    size,
    whole,
)
from trust_core.cli.command import (
    AuditRequest,
    TrainingRequest,
    audit_command,
    audit_name,
    audit_of_trained,
    shell_command,
    slug,
    start_audit,
    training_command,
)
from trust_core.cli.main import build_parser
from trust_core.errors import SettingsError
from trust_core.explanation.cams import AGNOSTIC, SPECIFIC
from trust_core.model.open import ModelOptions

WORDS = st.text("abcXYZ_ '\"$;ä-", min_size=1).filter(
    lambda word: word.strip() == word and not word.startswith("-")
)
KINDS = {  # what an option of each kind may be
    str: WORDS,
    Path: WORDS.map(Path),
    bool: st.booleans(),
    size: st.tuples(st.integers(1, 512), st.integers(1, 512)),
    names: st.lists(st.text("abc.1_", min_size=1), min_size=1, max_size=3).map(tuple),
    indices: st.lists(st.integers(0, 9), min_size=1, max_size=3).map(tuple),
    number: st.floats(0.01, 0.99),
    numbers: st.lists(st.floats(0, 255), min_size=1, max_size=3).map(tuple),
    whole: st.integers(1, 20),
}
ONLY = {  # what some of them may be, for their settings are checked when made
    "specific": st.sampled_from(sorted(SPECIFIC)).map(lambda form: (form,)),
    "agnostic": st.sampled_from(sorted(AGNOSTIC)).map(lambda form: (form,)),
    "mask": st.sampled_from(["half", "otsu", "top:0.2"]),
}
EITHER = [("group_column", "group_pattern"), ("decision_threshold", "argmax")]


def value(option: Option) -> st.SearchStrategy:
    if option.choices:
        return st.sampled_from(sorted(option.choices))
    if option.several:
        return st.lists(WORDS, min_size=1, max_size=3).map(tuple)
    return ONLY.get(option.name, KINDS[option.parse])


@st.composite
def chosen(draw: st.DrawFn) -> dict:
    """Values of some of the options of an audit, by name; never two that exclude each other."""
    groups = ("model", "input", "data", "score")
    options = [option for group in groups for option in OPTIONS[group]] + [find("expect")]
    found = {option.name: draw(value(option)) for option in options if draw(st.booleans())}
    for first, second in EITHER:
        if found.get(first) and found.get(second):
            del found[second]
    return found


@given(chosen())
def test_the_command_line_reads_back_what_was_said(values):
    request = AuditRequest(
        Path("/m/a b.pth"),
        Path("/d"),
        Path("/w/out"),
        model_options(values),
        data_options(values),
        audit_settings(values),
        values.get("expect"),
    )
    parsed = vars(build_parser().parse_args(audit_command(request)))
    assert model_options(parsed) == request.model_options
    assert data_options(parsed) == request.data_options
    assert audit_settings(parsed) == request.settings
    assert parsed["expect"] == request.expect
    assert (parsed["model"], parsed["data"], parsed["out"]) == ("/m/a b.pth", "/d", Path("/w/out"))
    assert parsed["json"]


@given(chosen())
def test_a_field_of_the_page_reads_what_the_command_line_reads(values):
    """The same text, typed into a field or after a flag, is the same value."""
    for name, said in values.items():
        option = find(name)
        if not option.several and option.parse is not bool:
            words = ["audit", "m", "d", *option.words(said)]
            assert getattr(build_parser().parse_args(words), name) == option.read(option.text(said))


def test_defaults_are_left_out_of_the_command():
    request = AuditRequest(Path("/m.pth"), Path("/d"), Path("/w/out"))
    assert audit_command(request) == ["audit", "/m.pth", "/d", "--out=/w/out", "--json"]


@pytest.mark.parametrize("good_index", [(1,), (0, 2)])
def test_good_outputs_are_passed_on(good_index):
    request = AuditRequest(Path("m"), Path("d"), Path("o"), ModelOptions(good_index=good_index))
    parsed = vars(build_parser().parse_args(audit_command(request)))
    assert model_options(parsed).good_index == good_index


def test_a_command_survives_a_shell():
    words = audit_command(AuditRequest(Path("/m/it's $(here).pth"), Path("/d e"), Path("/o")))
    assert shlex.split(shell_command(words)) == ["python", "-m", "trust_core", *words]


@pytest.fixture
def started(monkeypatch):
    """Commands that would have been started."""
    calls: list[list[str]] = []

    def start(words, folder):
        calls.append(words)
        return jobs.Job(folder, tuple(words), 0, 0.0)

    monkeypatch.setattr(jobs, "start", start)
    return calls


def lay(folder: Path, words: list[str], **manifest: str) -> None:
    """An audit and its job, as a worker would have left them."""
    folder.mkdir()
    content = {"schema_version": 1, "status": "finished", **manifest}
    (folder / "manifest.json").write_text(json.dumps(content))
    (folder.parent / "jobs").mkdir()
    job = {"arguments": words, "pid": 2**22, "started": 0.0}
    (folder.parent / "jobs" / f"{folder.name}.json").write_text(json.dumps(job))


def test_a_finished_audit_is_not_started_again(tmp_path, started):
    words = ["audit", "m", "d", "--size=64x64", "--mask=otsu", "--json"]
    folder = tmp_path / "audit"
    lay(folder, words, model_pass="m", table="t")
    moved = [*words[:3], *words[:2:-1]]  # the order of words makes no other command
    start_audit(moved, folder, Identity("m", "t", "d"))
    assert started == []
    start_audit(words, folder, Identity("m", "other labels", "d"))
    assert started == [words]
    for other in (([*words, "--tta"], Identity("m", "t", "d")), (words, Identity("x", "t", "d"))):
        with pytest.raises(SettingsError, match="The name audit is taken by another audit"):
            start_audit(other[0], folder, other[1])
    start_audit(words, tmp_path / "new", Identity("m", "t", "d"))
    assert started == [words, words]


def test_the_name_tells_model_and_data_and_changes_with_the_audit():
    names = [
        audit_name(Path("Lite_0.pth"), Path("tiles"), Identity(*identity), mask)
        for identity, mask in [
            (("a", "b", "c"), "half"),
            (("x", "b", "c"), "half"),
            (("a", "x", "c"), "half"),
            (("a", "b", "c"), "otsu"),
        ]
    ]
    assert all(name.startswith("lite-0-tiles-") for name in names)
    assert len(set(names)) == 4
    assert names[0] == audit_name(
        Path("Lite_0.pth"), Path("tiles"), Identity("a", "b", "c"), "half"
    )


@given(st.text())
def test_a_slug_is_a_plain_folder_name(name):
    found = slug(name)
    assert found
    assert Path(found).name == found
    assert not found.startswith((".", "-"))


def test_the_audit_reads_the_data_as_the_training_did(tmp_path):
    reading = data_options(
        {
            "good": ("ok", "fine parts"),
            "samples": Path("/t.csv"),
            "group_pattern": "-x",
            "roles": Path("/r.csv"),
        }
    )
    network = Path("/n/a.safetensors")
    request = TrainingRequest(Path("/d"), network, "joint", "e", 64, 3, True, reading)
    training = training_command(request)
    parsed = vars(build_parser().parse_args(training))
    assert data_options(parsed) == reading
    assert (parsed["objective"], parsed["encoder"], parsed["size"]) == ("joint", "e", (64, 64))
    assert (parsed["epochs"], parsed["patience"], parsed["weights"]) == (3, 8, "imagenet")
    audit = vars(build_parser().parse_args(audit_of_trained(training, tmp_path)))
    assert (audit["model"], audit["data"], audit["out"]) == (str(network), "/d", tmp_path)
    assert audit["roles"] == Path("/n/a.roles.csv")
    assert audit["good"] == list(reading.good)
    assert (audit["samples"], audit["group_pattern"]) == (reading.samples, "-x")


def test_an_option_of_several_groups_is_said_once():
    request = AuditRequest(Path("m"), Path("d"), Path("o"), ModelOptions(size=(96, 96), bits=12))
    words = audit_command(request)
    assert [word for word in words if word.startswith(("--size", "--bits"))] == [
        "--size=96x96", "--bits=12",
    ]  # fmt: skip
