"""The Train section of the Run page: what it asks, refuses and starts; and the page of a run."""

import json
import shlex
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.parts import write_parts
from trust_core.audit import jobs
from trust_core.cli.command import (
    TrainingRequest,
    audit_of_trained,
    network_file,
    training_command,
    training_folder,
)
from trust_core.cli.main import build_parser

APP = Path(__file__).parents[2] / "app.py"
HISTORY = [
    {"epoch": n, "close_ups": False, "tune_loss": 1 / n, "tune_average_precision": ap}
    | {"tune_caught": n, "tune_defective": 5, "tune_false_alarms": 1, "tune_good": 6}
    for n, ap in ((1, 0.5), (2, 0.9), (3, 0.7))
]


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("TRUST_CORE_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setenv("TRUST_CORE_FOLDERS", str(tmp_path))  # as named at the start
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def started(monkeypatch):
    """Commands that would have been started, with the folders their workers write."""
    calls = []

    def start(words, folder):
        calls.append((words, folder))
        return jobs.Job(folder, tuple(words), 0, 0.0)

    monkeypatch.setattr(jobs, "start", start)
    return calls


def page(train="new", **query):
    app = AppTest.from_file(str(APP), default_timeout=120)
    app.switch_page("pages/run.py")
    app.query_params["train"] = train
    for key, value in query.items():
        app.query_params[key] = value
    return app.run()


def words(app):
    return " ".join(element.value for element in (*app.markdown, *app.caption)) + " ".join(
        element.proto.body for element in app.get("html")
    )


def command(app):
    return shlex.split(app.code[-1].value)[3:]


def test_the_run_page_shows_the_way(place):
    app = AppTest.from_file(str(APP), default_timeout=120)
    app.switch_page("pages/run.py")
    app.run()
    button = next(b for b in app.button if b.label.startswith("No network yet?"))
    button.click()
    app.run()
    assert app.query_params["train"] == "new"
    assert "Train a network that decides, and shows where." in words(app)


def test_says_what_it_learns_from_and_starts_the_command_it_shows(place, started):
    data = write_parts(place / "parts")
    app = page(data=str(data))
    assert not app.exception
    assert "It learns from 18 photos of 18 parts" in words(app)
    assert "6 others of 6 parts. 12 photos stay unseen" in words(app)
    shown = command(app)
    assert shown[:3] == ["train", str(data), "--objective=joint"]
    assert f"--samples={data / 'samples.csv'}" in shown
    assert "--size=192" in shown
    build_parser().parse_args(shown)
    next(b for b in app.button if b.label == "Start training").click()
    app.run()
    out = place / "workspace" / "networks" / "parts-joint.safetensors"
    assert started == [(shown, out.with_suffix(".training"))]
    assert app.query_params["train"] == "parts-joint"


def test_choices_reach_the_command(place):
    data = write_parts(place / "parts")
    app = page(data=str(data))
    app.radio[0].set_value("mask")
    app.selectbox(key="encoder").set_value("tu-test_efficientnet")
    app.selectbox(key="side").set_value(96)
    app.number_input(key="epochs").set_value(7)
    app.run()
    app.text_input(key="network").set_value("My first!")
    app.run()
    shown = command(app)
    assert {"--objective=mask", "--size=96", "--epochs=7"} < set(shown)
    assert "--encoder=tu-test_efficientnet" in shown
    assert f"--out={network_file('my-first')}" in shown
    assert "--weights=imagenet" not in shown


def test_without_masks_label_is_chosen_and_the_others_refused(place):
    data = write_parts(place / "parts", masks=False)
    app = page(data=str(data))
    assert app.radio[0].value == "label"
    assert "--objective=label" in command(app)
    app.radio[0].set_value("joint")
    app.run()
    assert "None of the 12 defective photos to learn from has a mask" in words(app)
    assert not [b for b in app.button if b.label == "Start training"]


def test_too_few_parts_are_refused_in_a_sentence(place):
    data = write_parts(place / "parts", 12)
    table = data / "samples.csv"
    table.write_text(table.read_text().replace("part007,tune", "part007,test"))
    assert "tune holds 0 defective parts and needs at least 1" in words(page(data=str(data)))


def test_the_name_of_another_network_is_taken(place, started):
    data = write_parts(place / "parts")
    out = network_file("parts-joint")
    out.parent.mkdir(parents=True)
    out.write_bytes(b"another")
    app = page(data=str(data))
    next(b for b in app.button if b.label == "Start training").click()
    app.run()
    assert "The name parts-joint is taken" in words(app)
    assert started == []


def test_a_run_that_never_was(place):
    app = page("nothing")
    assert not app.exception
    assert "There is no training run" in words(app)


def lay(name, *, done):
    """A run as a worker would have left it."""
    out = network_file(name)
    folder = training_folder(out)
    jobs = out.parent / "jobs"
    jobs.mkdir(parents=True)
    request = TrainingRequest(Path("/data"), out, "joint", "tu-test_efficientnet", 64, 3)
    content = {"arguments": training_command(request), "pid": 2**22, "started": 0.0}
    (jobs / f"{folder.name}.json").write_text(json.dumps(content))
    if done:
        out.write_bytes(b"network")
        rows = [",".join(HISTORY[0]), *(",".join(map(str, row.values())) for row in HISTORY)]
        out.with_suffix(".history.csv").write_text("\n".join(rows))
    else:
        folder.mkdir()
        progress = {"done": 30, "total": 60, "pid": 1, "history": HISTORY}
        (folder / "progress.json").write_text(json.dumps(progress))
        (jobs / f"{folder.name}.log").write_text("Epoch 3 of 6: ...\n")
    return content["arguments"]


def test_a_finished_run_tells_its_best_epoch_and_starts_the_audit(place, started):
    training = lay("mine", done=True)
    app = page("mine")
    assert "after pass 2 of 3" in words(app)
    next(b for b in app.button if b.label == "Audit this network").click()
    app.run()
    out = place / "workspace" / "mine"
    assert started == [(audit_of_trained(training, out), out)]
    assert app.query_params["run"] == "mine"
    assert "train" not in app.query_params


def test_an_interrupted_run_can_go_on(place, monkeypatch):
    lay("mine", done=False)
    app = page("mine")
    assert "Stopped." in words(app)
    assert "Resume goes on where it ended" in words(app)
    resumed = []
    monkeypatch.setattr(jobs, "resume", resumed.append)
    next(b for b in app.button if b.label == "Resume").click()
    app.run()
    assert resumed == [training_folder(network_file("mine"))]
    listed = page()
    assert any("mine" in m.value and "has not finished" in m.value for m in listed.markdown)


def test_a_run_that_has_not_finished_an_epoch_shows_none(place):
    lay("mine", done=False)
    assert page("mine").table
    (training_folder(network_file("mine")) / "progress.json").unlink()
    app = page("mine")
    assert not app.exception
    assert "Stopped." in words(app)
    assert not app.table
