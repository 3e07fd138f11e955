"""Text that comes from outside is text, whatever signs it holds."""

from trust_core.figures.words.markup import bold_numbers, escape_markdown, table


def test_a_name_in_a_label_is_no_markdown():
    assert escape_markdown("a*b_[c](d) :red[e]") == r"a\*b\_\[c\]\(d\) \:red\[e\]"
    assert escape_markdown("<b>~&$`x`|") == r"\<b\>\~\&\$\`x\`\|"


def test_numbers_are_marked_and_the_rest_is_escaped():
    marked = bold_numbers("1,204 parts of <b> at 3.5 %. It's 7.")
    assert marked == ("<b>1,204</b> parts of &lt;b&gt; at <b>3.5</b>\xa0%. It&#x27;s <b>7</b>.")


def test_a_table_has_a_head_only_when_its_columns_are_named():
    assert table("numbers", [("ours", "A", ["1", "2"])]) == (
        '<table class="numbers"><tbody><tr class="ours"><th scope="row">A</th>'
        "<td>1</td><td>2</td></tr></tbody></table>"
    )
    assert '<thead><tr><th scope="col">x</th></tr></thead>' in table("numbers", [], ["x"])
