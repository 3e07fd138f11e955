"""`report` on the command line: what it writes, what it says, how it ends."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.decision.test_certify import parts
from tests.fakes import write_fake_audit
from trust_core.cli.main import main
from trust_core.cli.options import absolute
from trust_core.decision.journal import JOURNAL


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audits") / "audit"
    return write_fake_audit(folder, parts(12), strengths=(0.0, 1.0)).folder


def test_it_writes_one_file_and_opens_nothing(audit: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "report.html"
    assert main(["report", str(audit), "--out", str(out), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["bytes"] == out.stat().st_size
    assert (result["status"], result["sealed"]) == ("pass", ["certify", "test"])
    assert not (audit / JOURNAL).exists()
    assert main(["report", "--verify", str(out)]) == 0
    assert result["sha256"] in out.read_text(encoding="utf-8")


def test_a_changed_report_exits_3(audit: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "report.html"
    assert main(["report", str(audit), "--out", str(out)]) == 0
    out.write_bytes(out.read_bytes().replace(b"re-inspected", b"re-inspecled", 1))
    capsys.readouterr()
    assert main(["report", "--verify", str(out), "--json"]) == 3
    printed = capsys.readouterr()
    assert json.loads(printed.out)["ok"] is False
    assert "was changed" in printed.err


def test_a_failed_condition_exits_3_and_the_report_is_there(
    audit: Path, tmp_path: Path, capsys
) -> None:
    out = tmp_path / "report.html"
    command = ["report", str(audit), "--out", str(out), "--json", "--pass", "unreadable = 0"]
    assert main([*command, "--warn", "unscored > 100"]) == 0
    assert json.loads(capsys.readouterr().out)["status"] == "pass"
    assert main([*command, "--fail", "verdict = red"]) == 3  # sealed: not known
    printed = capsys.readouterr()
    result = json.loads(printed.out)
    assert [one["level"] for one in result["conditions"]] == ["pass", "fail"]
    assert result["conditions"][1]["found"] is None
    assert "Failed: verdict = red" in printed.err
    assert out.exists()


def test_signed_and_checked(audit: Path, tmp_path: Path, capsys) -> None:
    key = Ed25519PrivateKey.generate()
    private, public, out = (tmp_path / name for name in ("key.pem", "public.pem", "report.html"))
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    private.write_bytes(key.private_bytes(*form, serialization.NoEncryption()))
    subject = serialization.PublicFormat.SubjectPublicKeyInfo
    public.write_bytes(key.public_key().public_bytes(form[0], subject))
    sign = ["--sign", str(private), "--by", "Jane Doe"]
    assert main(["report", str(audit), "--out", str(out), *sign]) == 0
    capsys.readouterr()
    assert main(["report", "--verify", str(out), "--key", str(public), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["signer"] == "Jane Doe"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "Name an audit and the file to write"),
        (["{audit}"], "Name an audit and the file to write"),
        (["{audit}", "--out", "x.html", "--fail", "loss > 1"], "no measure 'loss'"),
        (["{audit}", "--out", "x.html", "--sign", "none.pem"], "Cannot read none.pem"),
        (["{audit}", "--out", "x.html", "--defect-rate", "2"], "between 0 and 1"),
        (["--verify", "none.html"], "Cannot read none.html"),
    ],
)
def test_bad_input_is_one_sentence(
    audit: Path, words: list[str], said: str, capsys, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["report", *(word.format(audit=audit) for word in words)]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert len(told.splitlines()) == 1


def test_paths_of_a_command_are_named_from_the_root(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["audit", "m.pt", "data", "--good", "ok", "--out=a", "--size=64x64", "--json"]
    assert absolute(words, ["m.pt", Path("data"), None, Path("a")]) == [
        "audit", f"{tmp_path}/m.pt", f"{tmp_path}/data", "--good", "ok", f"--out={tmp_path}/a",
        "--size=64x64",
    ]  # fmt: skip
