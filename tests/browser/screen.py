"""How a page stands on the screen: how much it jumps while it loads, what of it overflows, what
axe-core finds, how long it takes."""

import time
from collections import Counter
from dataclasses import dataclass

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.server import settled

WIDTHS = (390, 768, 900, 1280, 1440)
SERIOUS = ("serious", "critical")  # of axe-core's four impacts
SHIFT_LIMIT = 0.1  # "good" at https://web.dev/articles/cls
# Every layout shift, with what moved; what a person's own click moves is told apart.
WATCH = """(() => {
  window.shifts = [];
  new PerformanceObserver((list) => {
    for (const shift of list.getEntries()) shifts.push({
      value: shift.value, asked: shift.hadRecentInput, at: shift.startTime,
      what: shift.sources.slice(0, 3).map(({ node }) => {
        const here = node?.nodeType === 1 ? node : node?.parentElement;
        const key = here?.closest('[class*=st-key-]')?.className.match(/st-key-[\\w-]+/)?.[0];
        return [key, here?.className || here?.tagName, here?.innerText?.slice(0, 30)].join(' ');
      }),
    });
  }).observe({ type: 'layout-shift', buffered: true });
})()"""
# What sticks out of the window, or of a box that would have to be scrolled sideways to be read.
OVERFLOW = """() => {
  const out = [];
  for (const node of document.querySelectorAll('.stMain *')) {
    const box = node.getBoundingClientRect();
    if (box.width === 0 || box.height === 0 || box.right <= innerWidth + 1) continue;
    let inside = node.parentElement, kept = false;
    for (; inside && !inside.matches('.stMain'); inside = inside.parentElement)
      if (getComputedStyle(inside).overflowX !== 'visible') { kept = true; break; }
    if (!kept) out.push(`${node.className || node.tagName} ${(node.innerText ?? '').slice(0, 30)}`);
  }
  return out;
}"""


@dataclass(frozen=True)
class Shown:
    """What was seen of one page.

    Attributes:
        seconds: from the address to all of it drawn.
        shift: cumulative layout shift, without what answers to a click.
        jumps: the largest shifts, with what moved.
        findings: serious findings of axe-core, `rule × elements: an example`.
    """

    seconds: float
    shift: float
    jumps: tuple[str, ...]
    findings: tuple[str, ...]


def watch(page: Page) -> None:
    """Have every document of this page keep its layout shifts."""
    page.add_init_script(WATCH)


def look(page: Page, address: str, quiet: int = 700) -> Shown:
    """Open an address and say what was seen.

    Args:
        page: that `watch` has been told of.
        address: of the page.
        quiet: milliseconds without a layout shift after which nothing more is awaited.
    """
    began = time.perf_counter()
    page.goto(address)
    settled(page)
    seconds = time.perf_counter() - began
    shift, jumps = shifts(page, quiet)
    return Shown(seconds, shift, jumps, findings(page))


def shifts(page: Page, quiet: int = 700) -> tuple[float, tuple[str, ...]]:
    """The sum of the layout shifts of a document, once it holds still, and the largest ones."""
    page.wait_for_function(
        "quiet => performance.now() - Math.max(0, ...shifts.map(s => s.at)) > quiet", arg=quiet
    )
    found = [shift for shift in page.evaluate("shifts") if not shift["asked"]]
    largest = sorted(found, key=lambda shift: -shift["value"])[:4]
    return sum(shift["value"] for shift in found), tuple(
        f"{shift['value']:.3f} at {shift['at']:.0f} ms: {' | '.join(shift['what'])}"
        for shift in largest
        if shift["value"] > 0.005
    )


def findings(page: Page) -> tuple[str, ...]:
    """What axe-core holds to be serious on the page as it stands."""
    page.evaluate(Axe().axe_script)
    found = page.evaluate("() => axe.run({ resultTypes: ['violations'] })")["violations"]
    grave = [rule for rule in found if rule["impact"] in SERIOUS]
    return tuple(
        f"{rule['id']} × {len(rule['nodes'])}: {kinds}"
        for rule in grave
        if (kinds := _kinds(rule["nodes"]))
    )


def _kinds(nodes: list[dict]) -> str:
    """What the elements of a finding are, with why, the most frequent first."""
    seen: Counter[str] = Counter()
    for node in nodes:
        checks = [*node["any"], *node["all"], *node["none"]]
        why = checks[0]["message"] if checks else ""
        seen[f"{node['target'][-1]} ({node['html'][:90]}: {why[:120]})"] += 1
    return "; ".join(text for text, _ in seen.most_common(3))


def overflowing(page: Page, width: int) -> list[str]:
    """What sticks out of the window at a width, in pixels."""
    size = page.viewport_size
    page.set_viewport_size({"width": width, "height": 900})
    settled(page)
    out = page.evaluate(OVERFLOW)
    page.set_viewport_size(size)
    return out
