"""The Run page, without a browser: questions, bad input, and the command it would start."""

import pickle
import re
import shlex
import shutil
import zipfile
from pathlib import Path

import pytest
import timm
import torch
from streamlit.testing.v1 import AppTest

from dashboard import cache
from dashboard.run import form, subjects
from dashboard.run import progress as run_progress
from dashboard.run.file_fields import ARRIVED, Arrival
from tests.dashboard.test_terms import unexplained
from tests.dashboard.ware import ARCHITECTURE, SIDE, write_network, write_twin, write_zip
from trust_core.audit import jobs
from trust_core.audit.identity import identify
from trust_core.audit.options import OPTIONS, audit_settings, find, model_options
from trust_core.audit.sandbox import Limits
from trust_core.cli.command import audit_name
from trust_core.cli.main import build_parser
from trust_core.cli.options import dataset
from trust_core.data import uploads
from trust_core.errors import ModelError
from trust_core.model.open import open_for_audit
from trust_core.storage.workspace import display_name

APP = Path(__file__).parents[2] / "app.py"
PARTS = {"good": 12, "crack": 6, "pit": 6}
UNKNOWN = {"alpha": 8, "beta": 6, "gamma": 6}


@pytest.fixture(scope="module")
def wares(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wares")
    write_network(folder / "two.safetensors")
    write_network(folder / "one.pth", outputs=1)
    write_network(folder / "three.pt", outputs=3)
    write_zip(folder / "parts.zip", PARTS)
    write_zip(folder / "unknown.zip", UNKNOWN)
    write_zip(folder / "one_class.zip", {"good": 4})
    write_zip(folder / "leaves.zip", {"../up": 2})
    write_zip(folder / "empty.zip", {})
    (folder / "corrupt.zip").write_bytes(b"PK\3\4 is not enough")
    torch.save(torch.nn.Linear(3, 2), folder / "pickled.pt")
    torch.jit.save(torch.jit.script(torch.nn.Linear(3, 2)), folder / "script.pt")
    torch.save({"weight": torch.zeros(3, 3)}, folder / "strange.pth")
    (folder / "notes.txt").write_bytes(pickle.dumps("text"))
    return folder


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """The page before its first run."""
    monkeypatch.setenv("TRUST_CORE_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setenv(uploads.FOLDERS_VARIABLE, str(tmp_path))  # as named at the start
    monkeypatch.chdir(tmp_path)
    app = AppTest.from_file(str(APP), default_timeout=120)
    app.switch_page("pages/run.py")
    return app


@pytest.fixture
def page(fresh):
    return fresh.run()


def drop(page, which, path):
    content = path.read_bytes()
    kind = "application/octet-stream"
    page.file_uploader[which].set_value([(path.name, content, kind)])
    return page.run()


def text(page):
    assert not page.exception, page.exception
    kinds = (page.get("html"), page.markdown, page.caption, page.code)
    return "\n".join(getattr(e, "body", None) or e.value for kind in kinds for e in kind)


def command(page):
    return shlex.split(page.code[-1].value)[3:]


def test_the_empty_page_invites(page):
    assert "Audit your own model" in text(page)
    assert len(page.file_uploader) == 2
    assert [button.label for button in page.button] == [
        "No network yet? Train one on your own photos"
    ]


def test_model_and_data_are_recognised_and_the_command_says_them(page, wares):
    drop(page, 0, wares / "two.safetensors")
    assert "test_resnet" in text(page)
    assert "160×160" in text(page)
    drop(page, 1, wares / "parts.zip")
    found = text(page)
    assert "crack" in found or "crack" in str(page.table)
    assert unexplained(page) == {}
    shown = [element.body for element in page.get("html") if "{" not in element.body]
    assert not re.findall(r"[^<>]*\bimages?\b[^<>]*", " ".join(shown), re.IGNORECASE)
    page.text_input(key="size").set_value(str(SIDE)).run()
    page.text_input(key="strengths").set_value("0, 1").run()
    words = command(page)
    assert words[0] == "audit"
    assert words[1].endswith("two.safetensors")
    assert words[2].endswith("parts")
    assert {f"--size={SIDE}x{SIDE}", "--strengths=0,1", "--json"} <= set(words)
    assert "model-upload-0" not in page.session_state  # the bytes are on disk, not in memory
    assert page.session_state["model-upload-1"] is None


def test_every_field_of_the_form_reaches_the_command(fresh, wares, tmp_path):
    """What is declared with a key in the URL is asked for, and says what its text means."""
    for name, file in (("model", "two.safetensors"), ("data", "parts.zip")):
        fresh.query_params[name] = str(shutil.copy(wares / file, tmp_path))
    given = {
        **{"size": "64x96", "resize": "crop:100", "strengths": "0,3"},
        **{"pgd_steps": "2", "specific": "layercam", "agnostic": "norm", "mask": "top:0.3"},
        **{"group_pattern": "0(.)", "decision_threshold": "0.4", "mean": "0.4", "std": "0.3"},
        **{"channels": "bgr", "interpolation": "nearest", "direction": "toward_good"},
        **{"antialias": "no", "bits": "12", "exif": "ignore", "certify": "none"},
    }
    elsewhere = {  # outputs that mean good, tables, their columns, a toggle, and the layer
        *("arch", "good_index", "good", "samples", "roles", "expect", "group_column", "argmax"),
        "layers",
    }
    options = [option for group in OPTIONS.values() for option in group if option.key]
    assert {option.name for option in options} == given.keys() | elsewhere
    for name, said in given.items():
        option = find(name)
        fresh.query_params[option.key] = option.choices.get(said, said)  # in the page's words
    page = fresh.run()
    page.selectbox(key=find("layers").key).set_value("layer3").run()
    given["layers"] = "layer3"
    words = {
        word for name, said in given.items() for word in find(name).words(find(name).read(said))
    }
    assert words <= set(command(page))


def test_two_files_dropped_at_once_both_arrive(page, wares):
    for uploader, name in zip(page.file_uploader, ("two.safetensors", "parts.zip"), strict=True):
        uploader.set_value([(name, (wares / name).read_bytes(), "application/octet-stream")])
    page.run()
    words = command(page)
    assert words[1].endswith("two.safetensors")
    assert words[2].endswith("parts")


def test_what_was_dropped_stays_chosen_when_the_run_is_cut_off(page, wares):
    drop(page, 1, wares / "parts.zip")
    drop(page, 0, wares / "three.pt")
    # The next message of the browser cut the run off, and knows of the choice before only.
    two = str(uploads.store((wares / "two.safetensors").open("rb"), "two.safetensors"))
    page.session_state[ARRIVED] = {"model": Arrival(two, None, page.session_state["model"])}
    page.run()
    assert command(page)[1] == two
    assert ARRIVED not in page.session_state  # this run reached its end
    page.session_state[ARRIVED] = {"model": Arrival(None, ModelError("It holds no weights."), two)}
    page.run()
    assert "It holds no weights." in text(page)
    assert page.session_state["model"] is None
    assert not page.code


def test_what_was_chosen_since_counts_more_than_what_was_dropped(page, wares):
    drop(page, 0, wares / "three.pt")
    three = page.session_state["model"]
    two = str(uploads.store((wares / "two.safetensors").open("rb"), "two.safetensors"))
    page.session_state[ARRIVED] = {"model": Arrival(two, None, "")}
    page.run()
    assert page.session_state["model"] == three


def test_a_network_that_was_just_trained_is_offered_at_once(page, wares, tmp_path):
    mine = "workspace/networks/mine.safetensors"
    assert mine not in page.selectbox(key="model").options
    networks = tmp_path / "workspace" / "networks"
    networks.mkdir(parents=True)
    shutil.copy(wares / "two.safetensors", networks / "mine.safetensors")
    page.run()
    assert mine in page.selectbox(key="model").options


def test_start_hands_the_shown_command_to_the_worker(page, wares, monkeypatch):
    started = []

    def start(words, folder):
        started.append((words, folder))
        return jobs.Job(folder, tuple(words), 0, 0.0)

    monkeypatch.setattr(jobs, "start", start)
    drop(page, 0, wares / "two.safetensors")
    drop(page, 1, wares / "parts.zip")
    page.text_input(key="name").set_value("Line 3, spring").run()
    words = command(page)
    page.button(key="start").click().run()
    assert started == [(words, Path(words[-2].removeprefix("--out=")))]
    assert page.query_params["run"] == started[0][1].name == "line-3-spring"
    assert display_name(started[0][1]) == "Line 3, spring"


def test_the_detector_that_is_checked_is_the_one_that_the_command_audits(page, wares, tmp_path):
    """Where the weights fit two architectures, the images choose, on the page as in the worker."""
    twin = write_twin(tmp_path / "twin.safetensors", wares / "parts.zip")
    drop(page, 0, twin)
    drop(page, 1, wares / "parts.zip")
    for key, value in (("size", str(SIDE)), ("mean", "0"), ("std", "1"), ("strengths", "0")):
        page.text_input(key=key).set_value(value).run()
    options = build_parser().parse_args(command(page))
    model, data = Path(options.model), dataset(options)
    audited = open_for_audit(model, model_options(vars(options)), data)
    assert audited.architecture == "timm/tf_mobilenetv3_small_075"
    identity = identify(audited, data, audit_settings(vars(options)))
    assert options.out.name == audit_name(model, data.root, identity, options.mask or "half")
    assert "tf_mobilenetv3_small_075 was taken after all" in text(page)


def test_another_setting_asks_only_what_it_touches(page, wares, monkeypatch):
    """Of the functions that the sandbox is asked, by the field that was changed."""
    ready(page, wares)
    asked = []
    call = cache.SANDBOX.call

    def noted(function, *given, **named):
        asked.append(function.rpartition(":")[2])
        return call(function, *given, **named)

    monkeypatch.setattr(cache.SANDBOX, "call", noted)
    for key, value, functions in (
        ("mask", "otsu", {"identity"}),
        ("strengths", "0, 1", {"identity"}),
        ("specific", "layercam", {"identity"}),
        ("threshold", "0.4", {"identity"}),
        ("mean", "0.4", {"look", "identity", "trial", "normalisations", "sizes"}),
        ("mean", "", set()),  # as it was
    ):
        asked.clear()
        fields = page.selectbox if key == "specific" else page.text_input
        fields(key=key).set_value(value).run()
        assert set(asked) == functions, key
        assert command(page)


def test_folders_that_say_nothing_are_asked_for(page, wares):
    drop(page, 0, wares / "two.safetensors")
    drop(page, 1, wares / "unknown.zip")
    found = text(page)
    assert "Which folders hold good parts?" in found
    assert "8 photos" in found
    use = next(button for button in page.button if button.label == "Use these labels")
    assert use.disabled
    for name, answer in (("alpha", "good"), ("beta", "defective"), ("gamma", "good")):
        page.button_group(key=f"label-of-{name}").set_value(answer).run()
    next(button for button in page.button if button.label == "Use these labels").click().run()
    words = command(page)
    at = words.index("--good")
    assert words[at : at + 3] == ["--good", "alpha", "gamma"]


def test_three_outputs_are_asked_for(page, wares):
    drop(page, 0, wares / "three.pt")
    assert "3 outputs" in page.button_group(key="outputs").label
    drop(page, 1, wares / "parts.zip")
    assert not page.code
    page.button_group(key="outputs").set_value(["0", "2"]).run()
    assert "--good-index=0,2" in command(page)


@pytest.mark.parametrize(
    ("model", "word"), [("two.safetensors", "--defect-index=0"), ("one.pth", "--one-logit=good")]
)
def test_outputs_can_be_swapped(page, wares, model, word):
    drop(page, 0, wares / model)
    drop(page, 1, wares / "parts.zip")
    assert word not in command(page)
    page.toggle(key="swap").set_value(True).run()
    assert word in command(page)


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ("pickled.pt", "can run code when opened"),
        ("script.pt", "TorchScript"),
        ("strange.pth", "strange.pth"),
        ("notes.txt", "no PyTorch file"),
    ],
)
def test_a_bad_model_gives_its_sentence_and_does_not_stay(page, wares, tmp_path, file, sentence):
    drop(page, 0, wares / file)
    assert sentence in text(page)
    if file == "strange.pth":  # weights that are not recognised: their architecture can be named
        assert page.selectbox(key="arch")
    else:
        assert page.session_state["model"] is None
        assert not list((tmp_path / "workspace" / "uploads").iterdir())
    drop(page, 0, wares / "two.safetensors")
    assert "Recognised as" in text(page)
    assert sentence not in text(page)


def test_what_stands_in_a_head_of_ones_own_is_asked_or_said(page, wares, tmp_path):
    network = timm.create_model(ARCHITECTURE, num_classes=2)
    width = network.fc.in_features
    network.fc = torch.nn.Sequential(
        torch.nn.Linear(width, 8), torch.nn.GELU(), torch.nn.Linear(8, 2)
    )
    state = network.state_dict()
    torch.save(state, tmp_path / "numbered.pth")
    layers = {"fc.0": "first", "fc.2": "second"}
    named = {layers.get(key[:4], key[:4]) + key[4:]: tensor for key, tensor in state.items()}
    torch.save(named, tmp_path / "named.pth")
    drop(page, 0, tmp_path / "named.pth")
    assert "which function stands between first and second, if any does; choose" in text(page)
    names = page.selectbox(key="arch").options[:3]
    assert names == [f"timm/{ARCHITECTURE}+{function}" for function in ("relu", "gelu", "silu")]
    page.selectbox(key="arch").set_value(names[1]).run()
    assert f"{ARCHITECTURE}+gelu" in text(page)
    assert "ReLU was taken" not in text(page)
    drop(page, 1, wares / "parts.zip")
    assert f"--arch={names[1]}" in command(page)
    drop(page, 0, tmp_path / "numbered.pth")
    assert "between fc.0 and fc.2; ReLU was taken" in text(page)
    assert page.selectbox(key="arch").options[0] == f"timm/{ARCHITECTURE}+gelu"


def test_what_was_dropped_can_be_removed(page, wares, tmp_path):
    drop(page, 0, wares / "two.safetensors")
    drop(page, 1, wares / "parts.zip")
    model = Path(page.session_state["model"])
    page.text_input(key="size").set_value(str(SIDE)).run()
    page.toggle(key="swap").set_value(True).run()
    assert page.button(key="model-out").label.replace("\\", "") == "Remove two.safetensors"
    page.button(key="model-out").click().run()
    assert page.session_state["model"] is None
    assert not {"model", "size", "swap"} & set(page.query_params)  # nor what was said of it
    assert "Recognised as" not in text(page)
    assert page.button(key="data-out").label == "Remove parts"  # as it was
    assert not model.exists()
    assert not any("two.safetensors" in option for option in page.selectbox(key="model").options)
    page.button(key="data-out").click().run()
    assert not list((tmp_path / "workspace" / "uploads").iterdir())


def test_a_file_of_the_server_is_only_taken_out_of_the_form(fresh, wares, tmp_path):
    mine = shutil.copy(wares / "two.safetensors", tmp_path / "mine.safetensors")
    fresh.query_params["model"] = str(mine)
    page = fresh.run()
    page.button(key="model-out").click().run()
    assert "Recognised as" not in text(page)
    assert mine.exists()


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ("corrupt.zip", "not an intact zip"),
        ("leaves.zip", "leaves.zip"),
        ("empty.zip", "empty.zip"),
        ("one_class.zip", "are good; an audit needs"),
    ],
)
def test_bad_data_gives_its_sentence_and_the_page_lives_on(page, wares, file, sentence):
    drop(page, 0, wares / "two.safetensors")
    drop(page, 1, wares / file)
    assert sentence in text(page)
    drop(page, 1, wares / "parts.zip")
    assert sentence not in text(page)
    assert command(page)


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("size", "big", "is no size"),
        ("mean", "half", "no list of numbers"),
        ("std", "0", "must be greater than 0"),
        ("resize", "squash", "“Resize” is stretch"),
        ("strengths", "900", "from 0 to 255"),
        ("mask", "round", "no mask rule"),
        ("threshold", "2", "probability between 0 and 1"),
        ("pgd", "0", "whole number"),
        ("pgd", "2.5", "whole number"),
    ],
)
def test_a_bad_setting_gives_its_sentence_and_can_be_mended(page, wares, key, value, sentence):
    drop(page, 0, wares / "two.safetensors")
    drop(page, 1, wares / "parts.zip")
    page.text_input(key=key).set_value(value).run()
    assert sentence in text(page)
    assert not page.code
    page.text_input(key=key).set_value("").run()
    assert command(page)


def test_a_path_outside_is_refused(fresh):
    fresh.query_params["model"] = "/etc/passwd"
    assert "outside of the folders" in text(fresh.run())


def test_a_run_that_is_not_there_says_so(page):
    for name in ("nothing", "../..", ".", ".deleted", "a\0b", "x" * 300):
        page.query_params["run"] = name
        page.run()
        assert "There is no run" in text(page)


def test_a_refused_file_can_be_left_out(page, tmp_path):
    (tmp_path / "bad.zip").write_bytes(b"no archive")
    drop(page, 1, tmp_path / "bad.zip")
    assert "bad.zip" in text(page)
    page.button(key="data-read").click().run()
    assert "bad.zip" not in text(page)


def test_a_run_can_be_set_up_again_with_what_it_was_given(page, wares, fresh):
    drop(page, 0, wares / "two.safetensors")
    drop(page, 1, wares / "parts.zip")
    page.toggle(key="swap").set_value(True).run()
    page.text_input(key="strengths").set_value("0, 0.5").run()
    page.text_input(key="size").set_value("32x40").run()
    words = command(page)
    again = AppTest.from_file(str(APP), default_timeout=120)
    again.switch_page("pages/run.py")
    again.query_params.update(form.query_of(words))
    assert command(again.run()) == words


def test_a_name_that_is_taken_is_refused(page, wares, tmp_path):
    taken = tmp_path / "workspace" / "mine"
    taken.mkdir(parents=True)
    (taken / "manifest.json").write_text('{"schema_version": 1, "model_pass": "x", "status": "?"}')
    drop(page, 0, wares / "two.safetensors")
    drop(page, 1, wares / "parts.zip")
    page.text_input(key="name").set_value("Mine").run()
    page.button(key="start").click().run()
    assert "is taken by another audit" in text(page)
    assert run_progress.RUN not in page.query_params


def test_a_table_of_the_folder_is_taken_and_another_can_be_chosen(fresh, wares, tmp_path):
    folder = tmp_path / "data"
    with zipfile.ZipFile(wares / "unknown.zip") as archive:
        archive.extractall(folder)
    rows = [
        f"{path.relative_to(folder)},{int(path.parent.name != 'alpha')}\n"
        for path in sorted(folder.rglob("*.png"))
    ]
    (folder / "samples.csv").write_text("path,label\n" + "".join(rows))
    (folder / "lots.csv").write_text("path,lot\n")
    fresh.query_params["data"] = str(folder)
    page = fresh.run()
    table = page.selectbox(key="table")
    assert table.options == ["data/samples.csv", "the names of the folders"]
    drop(page, 0, wares / "two.safetensors")
    assert f"--samples={folder / 'samples.csv'}" in command(page)
    page.selectbox(key="table").set_value("the names of the folders").run()
    assert "Which folders hold good parts?" in text(page)


def ready(page, wares):
    drop(page, 0, wares / "two.safetensors")
    drop(page, 1, wares / "parts.zip")
    page.text_input(key="size").set_value(str(SIDE)).run()
    page.text_input(key="strengths").set_value("0").run()
    return page


def drop_table(page, key, name, content):
    uploader = next(u for u in page.file_uploader if u.key and u.key.startswith(f"{key}-upload"))
    uploader.set_value([(name, content.encode(), "text/csv")])
    return page.run()


def images(page):
    folder = Path(command(page)[2])
    return [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*.png"))]


def test_images_seen_in_training_can_be_named(page, wares):
    ready(page, wares)
    seen = images(page)[:4]
    drop_table(page, "roles", "seen.csv", "path,role\n" + "".join(f"{p},train\n" for p in seen))
    assert any(word.startswith("--roles=") for word in command(page))
    assert "in training" in str([table.value for table in page.table])
    page.button(key="roles-out").click().run()
    assert not any(word.startswith("--roles=") for word in command(page))


def test_roles_that_are_none_give_their_sentence(page, wares):
    ready(page, wares)
    drop_table(page, "roles", "seen.csv", f"path,role\n{images(page)[0]},chosen\n")
    assert "use train, tune, certify or test" in text(page)
    page.button(key="roles-out").click().run()
    assert command(page)


def test_own_predictions_are_compared_before_the_audit(page, wares):
    ready(page, wares)
    drop_table(page, "expect", "mine.csv", "path,p\n" + "".join(f"{p},1\n" for p in images(page)))
    assert "expected predictions are reproduced" in text(page)
    assert "“Size”" in text(page)  # in words of the page
    assert any(word.startswith("--expect=") for word in command(page))
    page.button(key="expect-out").click().run()
    drop_table(page, "expect", "mine.csv", "path,weight\n")
    assert "has no column p" in text(page)


def test_a_table_of_predictions_that_is_gone_says_so(page, wares):
    ready(page, wares)
    page.query_params["expect"] = "nowhere.csv"
    page.run()
    assert "There is nothing at" in text(page)
    page.button(key="expect-out").click().run()
    assert command(page)


def test_what_the_sandbox_may_take_grows_with_what_there_is_to_do(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(b"x" * 1000)
    (tmp_path / "b.png").write_bytes(b"x" * 3000)
    assert subjects.listing(tmp_path) == Limits(60, 2 * 2**30 + 2 * 4096)
    monkeypatch.setattr(subjects, "A_FILE", 2.0)
    monkeypatch.setattr(subjects, "A_BYTE", 0.01)
    assert subjects.listing(tmp_path).seconds == 60 + 2 * 2 + 40
    assert subjects.comparing(10).seconds == 65
    assert subjects.comparing(10**6).seconds == 560  # 250 of each of four roles
    assert subjects.working(tmp_path / "a.png", subjects.TRIED).seconds == 188
