"""The way of somebody who has never seen it, on the real demo; each number as the files have it."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import FAULT
from tests.browser.server import ROOT, Server, serve, settled
from tests.browser.test_tradeoff import address, counts, drawn

pytestmark = pytest.mark.slow
RECALL = 0.9  # of the missed defects, at the operating point that Home begins with


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with the demo audit, computed as `make app` does."""
    folder = tmp_path_factory.mktemp("newcomer") / "workspace"
    command(folder, "demo")
    return folder


@pytest.fixture(scope="module")
def tradeoff(workspace: Path) -> dict:
    """What the command line says of the trade-off."""
    return json.loads(command(workspace, "tradeoff", str(workspace / "demo"), "--json"))


@pytest.fixture(scope="module")
def images(workspace: Path) -> pd.DataFrame:
    """The images for choosing, as the files have them, with their scores at every strength."""
    samples = pd.read_parquet(workspace / "demo" / "samples.parquet")
    scores = pd.read_parquet(workspace / "demo" / "scores.parquet")
    tune = samples[samples["role"] == "tune"].drop(columns=["log_odds", "status"])
    return tune.merge(scores, on="sample_id")


@pytest.fixture(scope="module")
def own(workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve(workspace, tmp_path_factory.mktemp("log") / "log") as running:
        yield running


def command(workspace: Path, *arguments: str) -> str:
    run = subprocess.run(
        [sys.executable, "-m", "trust_core", *arguments],
        cwd=ROOT,
        env=os.environ | {"TRUST_CORE_WORKSPACE": str(workspace)},
        check=True,
        capture_output=True,
        text=True,
    )
    return run.stdout


def numbers(text: str) -> list[int]:
    return [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", text)]


def heading(page: Page) -> str:
    return page.locator(".finding h1").inner_text()


def flagged_at(images: pd.DataFrame, at: dict[str, str]) -> pd.DataFrame:
    """The flagged images at an operating point, the most suspicious first, from the files alone."""
    passed = images[images["outcome"].isin(["FN", "TN"]) & (images["strength"] == float(at["eps"]))]
    flagged = passed[passed["iou_difference"].fillna(float("inf")) >= float(at["tau"])]
    return flagged.sort_values("iou_difference", ascending=False)


def test_open_read_click_a_point_open_a_part_next_back(
    context: BrowserContext, own: Server, tradeoff: dict, images: pd.DataFrame
) -> None:
    page = context.new_page()
    began = time.monotonic()
    page.goto(own.url)
    settled(page)
    print(f"first page of a fresh server: {time.monotonic() - began:.2f} s")
    fn, tn = tradeoff["counts"]["fn"], tradeoff["counts"]["tn"]
    enough = [
        min((p for p in line["points"] if p["fn_recall"] >= RECALL), key=lambda p: p["tn_loss"])
        for line in tradeoff["curves"]
    ]
    start = min(enough, key=lambda p: p["tn_loss"])
    caught, again = start["flagged_fn"], start["flagged_tn"]
    again_all = caught + again
    as_many = max(
        p["flagged_fn"]
        for p in tradeoff["threshold_shift"]["points"]
        if p["flagged_fn"] + p["flagged_tn"] <= again_all
    )
    by_chance = round(again_all * fn / (fn + tn))
    said = page.locator(".finding p").nth(1).inner_text()
    assert numbers(said)[:5] == [fn + tn, fn, again_all, caught, fn]
    assert numbers(said)[-2:] == [as_many, by_chance]
    bars = page.locator(".proof td:last-child").all_inner_texts()
    assert list(map(int, bars)) == [caught, as_many, by_chance]
    clean = images[images["strength"] == 0]["outcome"].value_counts()
    tune = page.locator(".roles tr", has=page.get_by_role("rowheader", name="tune"))
    assert list(map(int, tune.locator("td").all_inner_texts())) == [
        clean[outcome] for outcome in ("FN", "TP", "TN", "FP")
    ]

    page.get_by_role("link", name="Look at the trade-off").click()
    page.wait_for_url(re.compile("/tradeoff"))
    settled(page)
    assert counts(drawn(page)) == (caught, fn, again, tn)
    page.locator(".st-key-tradeoff .chart path.point").nth(8).click(force=True)
    expect(page.get_by_text("Since τ")).to_be_visible()
    settled(page)
    at = address(page)
    line = next(line for line in tradeoff["curves"] if line["strength"] == float(at["eps"]))
    point = [
        p for p in line["points"] if p["threshold"] is None or p["threshold"] >= float(at["tau"])
    ][-1]
    assert counts(page) == (point["flagged_fn"], fn, point["flagged_tn"], tn)
    flagged = flagged_at(images, at)
    missed = flagged["outcome"] == "FN"
    assert counts(page) == (missed.sum(), fn, (~missed).sum(), tn)
    by_kind = flagged[missed]["kind"].value_counts()
    assert by_kind.sum() == counts(page)[0]

    page.get_by_role("link", name="Flagged photos").click()
    page.wait_for_url(re.compile("/parts"))
    settled(page)
    assert numbers(heading(page)) == [missed.sum(), fn, (~missed).sum(), tn]
    tiles = page.locator(".st-key-parts-grid [class*=st-key-tile-]")
    expect(tiles).to_have_count(min(24, len(flagged)))
    expect(page.locator(".st-key-parts-show")).to_contain_text(f"Flagged {len(flagged)}")

    tiles.first.click()
    first = opened(page, images)
    assert first["iou_difference"] == flagged["iou_difference"].max()
    page.get_by_role("button", name="Next").click()
    expect(page).not_to_have_url(re.compile(f"part={first['sample_id']}"))
    second = opened(page, images)
    assert second["iou_difference"] == flagged["iou_difference"].iloc[1]
    page.get_by_role("button", name="All photos").click()
    expect(tiles).to_have_count(min(24, len(flagged)))
    page.go_back()
    expect(page).to_have_url(re.compile(f"part={second['sample_id']}"))
    page.close()
    assert FAULT not in own.log, own.log[-4000:]


def opened(page: Page, images: pd.DataFrame) -> pd.Series:
    """The row of the part that is open; what the page says of it is what the files say."""
    expect(page).to_have_url(re.compile("part="))
    settled(page)
    expect(page.locator(".st-key-part-panels img")).to_have_count(4)
    at = address(page)
    rows = images[images["sample_id"] == at["part"]]
    row = rows[rows["strength"] == float(at["eps"])].iloc[0]
    facts = page.locator(".part-facts").inner_text()
    assert row["path"] in facts
    assert row["sha256"] in facts
    assert f"{100 * row['p_defect']:.1f}\xa0%" in facts
    told = page.locator(".part-difference").inner_text().replace("−", "-")
    assert f"{row['iou_difference']:+.2f}" in told
    assert f"{row['iou_defect']:.2f} - {row['iou_good']:.2f}" in told
    expect(page.locator("[class*=st-key-tile-][class*=strength]")).to_have_count(len(rows))
    return row


def test_the_page_says_what_the_command_line_says_on_every_curve(
    context: BrowserContext, own: Server, tradeoff: dict
) -> None:
    """Each strength in the address, at a threshold of the command line's own."""
    page = context.new_page()
    for line in tradeoff["curves"]:
        point = line["points"][len(line["points"]) // 3]
        eps, tau = line["strength"], point["threshold"]
        page.goto(f"{own.url}/tradeoff?audit=demo&ind=iou_difference&eps={eps}&tau={tau}")
        settled(page)
        expected = point["flagged_fn"], tradeoff["counts"]["fn"], point["flagged_tn"]
        assert counts(drawn(page))[:3] == expected
    page.close()
