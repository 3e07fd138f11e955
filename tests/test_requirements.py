"""What `make` installs: all that is pinned, and nothing without a hash."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PIN = re.compile(r"^([\w.-]+)==([^\s;\\]+)", re.MULTILINE)


def pins(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    return {(package.casefold(), version) for package, version in PIN.findall(text)}


def test_the_lock_holds_every_pin():
    """Otherwise write it anew, with the command in its head."""
    assert pins("requirements.txt") - pins("requirements.lock") == set()


def test_every_locked_package_has_hashes_and_comes_from_the_usual_index():
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    entries = re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:]
    assert len(entries) == len(PIN.findall(text)) > 100
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []
    assert not re.search(r"^(-|.*(://| @ ))", re.sub(r"^#.*", "", text, flags=re.MULTILINE))


def test_what_the_application_needs_is_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    names = {re.match(r"[\w.-]+", requirement)[0].casefold() for requirement in needed}
    assert names - {package for package, _ in pins("requirements.txt")} == set()
