"""The bundled demo surfaces: the same for ever, exact in their masks, whole in their groups."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from trust_core.data.demo import surfaces
from trust_core.data.demo.defects import DEFECTS, SUPPORT, draw, harmless_marks
from trust_core.data.demo.surfaces import ROLE_SHARES, generate, render_part
from trust_core.data.demo.textures import TEXTURES
from trust_core.errors import DataError

PARTS = 24


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(tmp_path_factory.mktemp("demo") / "surfaces", seed=3, parts=PARTS)


@pytest.fixture(scope="module")
def table(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "samples.csv", keep_default_na=False)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def first_defective(kind: str) -> int:
    return next(k for k in range(1000) if render_part(3, k, photos=1, size=64).kind == kind)


def test_same_seed_same_bytes(folder: Path, tmp_path: Path) -> None:
    assert contents(generate(tmp_path / "again", seed=3, parts=PARTS)) == contents(folder)


def test_a_part_does_not_depend_on_how_many_there_are(folder: Path, tmp_path: Path) -> None:
    few, many = contents(generate(tmp_path / "few", seed=3, parts=5)), contents(folder)
    pictures = [name for name in few if name.endswith(".png")]
    assert len(pictures) >= 10
    assert all(few[name] == many[name] for name in pictures)


def test_another_seed_gives_other_parts() -> None:
    assert not np.array_equal(render_part(3, 0).photos, render_part(4, 0).photos)


def test_photographs_of_a_part_differ() -> None:
    first, second, third = render_part(3, 0, photos=3).photos
    assert not np.array_equal(first, second)
    assert not np.array_equal(second, third)


@pytest.mark.parametrize("kind", DEFECTS)
def test_outside_its_mask_a_defective_part_is_its_flawless_twin(kind: str) -> None:
    number = first_defective(kind)
    part, twin = render_part(3, number, emphasis=3), render_part(3, number, emphasis=0)
    assert twin.kind == ""
    assert not twin.masks.any()
    assert (part.photos == twin.photos)[~part.masks].all()
    assert all(
        (photo != other).any() for photo, other in zip(part.photos, twin.photos, strict=True)
    )
    assert all(0 < mask.mean() < 0.15 for mask in part.masks)


@pytest.mark.parametrize("kind", DEFECTS)
def test_profiles_are_scaled_and_bounded(kind: str) -> None:
    for size in (0.0, 0.5, 1.0):
        profile = draw(kind, np.random.default_rng(1), 120, (60, 60), size)
        drawn = np.abs(profile[profile != 0])
        assert drawn.max() == pytest.approx(1)
        assert drawn.min() >= SUPPORT


@pytest.mark.parametrize("kind", DEFECTS)
def test_larger_size_larger_mask(kind: str) -> None:
    def area(size: float) -> float:
        return float(
            np.mean(
                [
                    np.count_nonzero(draw(kind, np.random.default_rng(s), 200, (100, 100), size))
                    for s in range(12)
                ]
            )
        )

    assert area(0) < area(0.5) < area(1)


@pytest.mark.parametrize("texture", TEXTURES.values(), ids=TEXTURES)
def test_textures_are_well_exposed(texture: Callable[..., np.ndarray]) -> None:
    canvas = texture(np.random.default_rng(5), 100)
    assert canvas.shape == (100, 100)
    assert 0.2 < canvas.mean() < 0.8
    assert 0.005 < canvas.std() < 0.15


def test_harmless_marks_vary_and_stay_small() -> None:
    marks = [harmless_marks(np.random.default_rng(s), 100) for s in range(30)]
    assert len({float(m.sum()) for m in marks}) > 20
    assert max(float(np.abs(m).max()) for m in marks) < 6


def test_table_names_every_file_once(folder: Path, table: pd.DataFrame) -> None:
    assert tuple(table.columns) == ("path", "label", "mask", "group", "split", "kind")
    masks = table["mask"][table["mask"] != ""]
    assert sorted([*table["path"], *masks]) == sorted(
        name for name in contents(folder) if name.endswith(".png")
    )
    assert not table["path"].duplicated().any()


def test_label_kind_and_mask_agree(folder: Path, table: pd.DataFrame) -> None:
    assert set(table["label"]) == {0, 1}
    for row in table.itertuples():
        assert (row.label == 1) == (row.kind in DEFECTS) == (row.mask != "")
        with Image.open(folder / row.path) as photo:
            assert (photo.mode, photo.size) == ("L", (surfaces.SIZE, surfaces.SIZE))
            if row.mask:
                with Image.open(folder / row.mask) as mask:
                    assert mask.size == photo.size
                    assert np.asarray(mask).any()


def test_a_group_is_one_part_in_one_role(table: pd.DataFrame) -> None:
    assert table["group"].nunique() == PARTS
    assert (table.groupby("group").size() == 2).all()
    assert (table.groupby("group")[["label", "split", "kind"]].nunique() == 1).all().all()


def test_roles_kinds_and_materials_all_occur_in_their_shares() -> None:
    parts = [render_part(3, k, photos=1, size=32) for k in range(300)]
    roles = pd.Series([part.role for part in parts]).value_counts(normalize=True)
    assert all(abs(roles[role] - share) < 0.09 for role, share in ROLE_SHARES.items())
    assert {part.kind for part in parts} == {"", *DEFECTS}
    assert {part.surface for part in parts} == set(TEXTURES)


def test_kept_when_the_settings_are_the_same_and_replaced_when_not(tmp_path: Path) -> None:
    folder = generate(tmp_path / "demo", seed=3, parts=2)
    (folder / "samples.csv").write_text("touched")
    assert (generate(folder, seed=3, parts=2) / "samples.csv").read_text() == "touched"
    generate(folder, seed=3, parts=3)
    assert (folder / "samples.csv").read_text().count("\n") == 7
    assert json.loads((folder / "surfaces.json").read_text())["parts"] == 3
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_a_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(DataError, match=r"demo: the demo surfaces cannot be written.*No space"):
        generate(tmp_path / "demo", seed=3, parts=2)
    assert list(tmp_path.iterdir()) == []


def test_foreign_folder_is_refused_and_an_empty_one_is_used(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep me")
    (tmp_path / "mine" / "surfaces.json").write_text('{"parts": 1}')
    with pytest.raises(DataError, match="mine is not a folder of demo surfaces"):
        generate(tmp_path / "mine", seed=3, parts=1)
    assert (tmp_path / "mine" / "notes.txt").read_text() == "keep me"
    (tmp_path / "empty").mkdir()
    assert (generate(tmp_path / "empty", seed=3, parts=1) / "samples.csv").is_file()
