"""Deploy: what goes to the line and what it promises; guard and report; a try-out; the drift."""

from html import escape

from dashboard.decide.indicators import TEST, cached_verdict
from dashboard.decide.proof import certificate, on_the_line
from dashboard.decide.requirements import read_requirements
from dashboard.deploy.downloads import graph_making, guard_making, show_files
from dashboard.deploy.line import show_line
from dashboard.deploy.tryout import show_tryout
from dashboard.shell import audit_page, link, show_finding
from dashboard.terms import write_html
from dashboard.url_state import leading_in_url
from dashboard.wording import page_text
from trust_core.decision.certify import point_to_certify
from trust_core.decision.journal import closed_seals
from trust_core.decision.line_costs import OWN
from trust_core.decision.operating_point import noted_point
from trust_core.deploy.operating_point import promise
from trust_core.figures.words import proof as proof_words
from trust_core.figures.words.markup import quiet, section
from trust_core.figures.words.point import rule_sentence
from trust_core.figures.words.recommendation import recommend
from trust_core.storage.audit_files import Audit


def draw(audit: Audit) -> None:
    """Draw the page."""
    noted = noted_point(audit)
    point, required = noted or leading_in_url(audit), read_requirements(audit)
    demand = required.demand
    role = "tune" if closed_seals(audit, [TEST]) else TEST
    proof = certificate(audit, demand, point_to_certify(audit, point))
    judged = cached_verdict(audit, role, point.indicator, point.strength, demand.recall)
    advice = recommend(point, judged, proof)
    show_finding(advice.sentence, advice.reason)

    decided = (
        "The operating point that was decided on last."
        if noted
        else "Nobody has decided yet; this is where one would begin. A guard needs a decision."
    )
    write_html(section("1 What goes to the line", decided))
    write_html(f'<p class="statement">{escape(rule_sentence(point))}</p>')
    write_html(
        f'<p class="statement second">{escape(page_text(promise(audit, point, demand)))}</p>'
    )
    values = on_the_line(audit, role, point, required.line)
    write_html(quiet(escape(proof_words.line_sentence(OWN, values))))
    if not noted or not proof:
        link("Decide and prove it", "pages/decide.py", primary=True)

    legend = "Files of the operating point above, made when you ask for them, beside the page."
    write_html(section("2 Download", legend))
    show_files(audit, point, demand, required.line)

    legend = (
        "The guard itself decides, as it would on the line; each map is drawn up to its own "
        "largest value. The photos stay on this machine and are not kept."
    )
    write_html(section("3 Try it out", legend))
    if noted:
        show_tryout(guard_making(audit, point, demand), graph_making(audit, point, demand))
    else:
        write_html(quiet("A try-out needs a decision."))

    legend = (
        "The log of a guard beside the audit: p, indicator, brightness and sharpness. Where "
        "nothing has drifted, a drift is reported with a chance of 5 % at most, however often one "
        "looks."
    )
    write_html(section("4 Is the line still what was audited?", legend))
    show_line(audit, point)


audit_page("Deploy", draw, "decide.css", "deploy.css")
