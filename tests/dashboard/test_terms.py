"""Help marks: every term of the glossary is explained where it first stands on a page."""

import re
from collections.abc import Iterator

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Block, Element

from dashboard import terms
from dashboard.glossary import TERMS
from dashboard.terms import WORDS
from tests.dashboard.app import MARKED, alone, fine, html, open_page
from tests.fakes import random_parts, write_fake_audit
from trust_core.decision.journal import decide, open_seals
from trust_core.decision.localization.pixel_counts import MASK_HEAD, make_counts
from trust_core.storage.audit_files import Audit

AUDITS = {"fresh": False, "proven": True}  # whether its seals are open and a point was decided on
PAGES = [
    ("", {}),
    ("tradeoff", {}),
    ("parts", {}),
    ("parts", {"part": "MISSED"}),
    ("parts", {"part": "MISSED", "look": "mask"}),
    ("parts", {"labels": "1"}),
    ("decide", {}),
    ("localization", {}),
    ("deploy", {}),
    ("run", {}),
    ("run", {"train": "new"}),
]


@pytest.fixture(scope="module")
def audits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Audit]]:
    folder = tmp_path_factory.mktemp("terms")
    made = {}
    for name, proven in AUDITS.items():
        audit = write_fake_audit(folder / name, random_parts(160), mask_head=True)
        make_counts(audit, MASK_HEAD)
        if proven:
            open_seals(audit, ["certify", "test"], "try", "Ada")
            decide(audit, "iou_difference", 0.1, 0.0, "try", "Ada")
        made[name] = audit
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRUST_CORE_WORKSPACE", str(folder))
        yield made


def stand(app: AppTest) -> Iterator[tuple[str, bool]]:
    """The words on a page from top to bottom, a marked term as `⟦τ⟧`, and whether help is there."""
    yield from _inside(app.main)


def _inside(block: Block) -> Iterator[tuple[str, bool]]:
    if block.type in ("expander", "popover"):
        label = getattr(block, "label", "") or block.proto.popover.label
        if label == "Glossary":
            return
        yield label, False
    for child in block.children.values():
        if isinstance(child, Block):
            yield from _inside(child)
        else:
            yield _said(child)


def _said(element: Element) -> tuple[str, bool]:
    proto = element.proto
    if element.type == "html":
        return re.sub(r"<[^>]*>", "", MARKED.sub(r"⟦\1⟧", proto.body)), False
    if getattr(getattr(proto, "label_visibility", None), "value", 0):
        return "", False  # nobody sees its label
    texts = [str(getattr(proto, name, "")) for name in ("label", "body", "placeholder")]
    if element.type in ("selectbox", "radio"):
        texts += proto.options
    return " ".join(texts), bool(getattr(proto, "help", ""))


def unexplained(app: AppTest) -> dict[str, str]:
    """Each term that first stands on a page without a help mark, and where."""
    seen: set[str] = set()
    found: dict[str, str] = {}
    for text, helped in stand(app):
        for said in WORDS.finditer(text):
            key = str(said.lastgroup)
            if key not in seen and not helped and text[said.start() - 1 : said.start()] != "⟦":
                found[key] = text
            seen.add(key)
    return found


def _missed(audit: Audit) -> str:
    found = audit.query("SELECT sample_id FROM samples WHERE outcome = 'FN' AND role = 'tune'")
    return str(found["sample_id"].iloc[0])


@pytest.mark.parametrize(("page", "query"), PAGES, ids=[f"{p} {' '.join(q)}" for p, q in PAGES])
@pytest.mark.parametrize("name", AUDITS)
def test_every_term_is_explained_where_it_first_stands(
    audits: dict[str, Audit], name: str, page: str, query: dict[str, str]
) -> None:
    if page == "run" and name != "fresh":
        pytest.skip("the page shows no audit")
    named = {k: v.replace("MISSED", _missed(audits[name])) for k, v in query.items()}
    assert unexplained(open_page(page, audit=name, **named)) == {}


def test_a_newcomer_without_an_audit_is_told_too(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRUST_CORE_WORKSPACE", str(tmp_path_factory.mktemp("empty")))
    assert unexplained(open_page()) == {}


def test_a_fragment_that_runs_alone_marks_what_it_did_before(audits: dict[str, Audit]) -> None:
    part = _missed(audits["fresh"])
    app = open_page("parts", audit="fresh", part=part, look="mask")
    marked = MARKED.findall(html(app))
    own = [MARKED.findall(html(fine(page))) for page in alone(app)]
    assert any(own)
    for again in own:
        assert again == [term for term in marked if term in again]


def test_a_term_is_marked_once_and_never_inside_of_a_path_or_a_tag() -> None:
    terms.begin_page()
    said = terms.mark(
        '<b title="threshold shift">Threshold shift</b>, threshold shift: test/a-test.png'
    )
    assert MARKED.findall(said) == ["Threshold shift"]
    assert said.count('class="term"') == 1
    assert TERMS["p_defect"].meaning in said
    assert terms.explain("tau", "nothing") == TERMS["tau"].meaning
    assert "class" not in terms.mark("the flagging threshold τ")
    assert terms.mark("<b>5 %</b> of 20 % , 7% %") == "<b>5\xa0%</b> of 20\xa0% , 7% %"
    terms.begin_page()
    assert MARKED.findall(terms.mark("τ")) == ["τ"]
