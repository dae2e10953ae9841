from __future__ import annotations

import re
from html.parser import HTMLParser

from tagifai.reporting import html_pages
from tagifai.reporting.html_pages import HtmlReport, ReportExample, ReportFigure, ReportTable

EVIL = "<script>alert('x')</script> & \"quoted\" {{ 7 * 7 }}"


class Reader(HTMLParser):
    """Collects tags, attributes and text of a page, whose tags have to be closed."""

    VOID = ("meta", "img")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


FULL = HtmlReport(
    title=f"Run {EVIL}",
    subtitle=EVIL,
    summary=[(EVIL, EVIL), ("F1", "0.8381")],
    notes=[EVIL],
    pictures=[ReportFigure(EVIL, "<svg><path/></svg>")],
    tables=[ReportTable(EVIL, [EVIL, "F1"], [[EVIL, "0.5"]], numbers=[1], strong=[0])],
    examples={EVIL: [ReportExample(EVIL, [(EVIL, 0.5), (EVIL, 0.0), (EVIL, -1.0)])]},
    settings=html_pages.list_settings({EVIL: EVIL, "seed": 42}, {"seed": 42}),
    facts={EVIL: [(EVIL, EVIL)]},
    command=EVIL,
)


def test_what_a_user_has_named_is_text_wherever_it_stands() -> None:
    read = Reader(html_pages.render(FULL))
    assert "script" not in read.tags
    # Title (twice) and subtitle, summary, note, table, example with its link, settings, facts with
    # their link, command.
    assert read.text.count(EVIL) == 3 + 2 + 1 + 3 + 6 + 2 + 4 + 1
    assert ("aria-label", EVIL) in read.attributes


def test_a_page_asks_for_nothing_from_elsewhere() -> None:
    html = html_pages.render(FULL)
    links = [value for name, value in Reader(html).attributes if name in ("src", "href")]
    assert links
    assert all(value and value.startswith("#") for value in links)
    assert "default-src 'none'" in html
    assert not re.search(r"url\((?!#)", html)
    assert "@import" not in html


def test_an_empty_page_has_no_empty_parts() -> None:
    read = Reader(html_pages.render(HtmlReport("Run 1", "here", [])))
    assert "h2" not in read.tags
    assert "table" not in read.tags
    assert "a" not in read.tags


def test_what_differs_from_the_defaults_is_marked() -> None:
    found = html_pages.list_settings(
        {"seed": 1, "model.alpha": 0.1, "model.own": None, "data.tags": ["a", "b"]},
        {"seed": 42, "model.alpha": 0.1, "data.tags": ["a", "b"]},
    )
    marked = [(s.key, s.value, s.default) for s in found if s.changed]
    assert marked == [("seed", "1", "42"), ("model.own", "none", "not set")]
    html = html_pages.render(HtmlReport("t", "s", [], settings=found))
    assert html.count('<tr class="changed">') == 2
    assert "Highlighted: settings that differ" in html


def test_a_configuration_that_is_all_default_says_so() -> None:
    same = html_pages.list_settings({"seed": 42}, {"seed": 42})
    assert "All settings have their defaults." in html_pages.render(
        HtmlReport("t", "s", [], settings=same)
    )


def test_long_values_are_cut() -> None:
    assert html_pages.format_value(["word"] * 1000).endswith("… (5998 characters)")
    assert html_pages.format_value([]) == "none"
    assert html_pages.format_value(True) == "True"


def test_no_password_of_a_url_is_on_a_page() -> None:
    url = "https://me:secret@host/x.csv"
    settings = html_pages.list_settings({"data.path": url, "a": [url]}, {})
    page = HtmlReport("", "", [], settings=settings, command=f"run.py data.path={url}")
    read = Reader(html_pages.render(page))
    assert "secret" not in read.text
    assert read.text.count("https://me:***@host/x.csv") == 3


def test_what_cannot_be_seen_has_escapes_wherever_it_stands() -> None:
    steering = "a\x1b[31m\u202eb"
    page = HtmlReport(
        title=steering,
        subtitle=steering,
        summary=[(steering, steering)],
        notes=[steering],
        tables=[ReportTable(steering, [steering], [[steering], ["0.1\u00a0(0.2)"]])],
        examples={steering: [ReportExample(steering, [(steering, 0.5)])]},
        facts={steering: [(steering, steering)]},
        command=f"one\n{steering}",
    )
    html = html_pages.render(page)
    assert not {"\x1b", "\u202e"} & {*html}
    assert html.count(r"a\x1b[31m\u202eb") == 18
    assert "one\n" in html
    assert "0.1\u00a0(0.2)" in html  # stays together


def test_the_cells_of_a_wide_table_have_their_headings_for_where_they_are_stacked() -> None:
    columns = ["a", "b", "c", "d", "<e>"]
    wide = ReportTable("wide", columns, [list("12345")])
    narrow = ReportTable("narrow", columns[:4], [list("1234")])
    read = Reader(html_pages.render(HtmlReport("t", "s", [], tables=[wide, narrow])))
    assert [value for name, value in read.attributes if name == "data-label"] == columns
    assert [v for name, v in read.attributes if name == "class" and v == "stacked"] == ["stacked"]


def test_words_are_marked_by_what_they_speak_for_and_how_strongly() -> None:
    words = [("much ", 1.0), ("nothing ", 0.0), ("against", -0.25)]
    html = html_pages.render(
        HtmlReport("t", "s", [], examples={"Why": [ReportExample("x", words)]})
    )
    assert (
        '<mark class="for" style="--w: 1.00">much </mark>nothing'
        ' <mark class="against" style="--w: 0.25">against</mark>' in html
    )


def test_a_figure_is_enlarged_and_closed_by_links_alone() -> None:
    read = Reader(html_pages.render(FULL))
    links = {value for name, value in read.attributes if name == "href"}
    ids = {value for name, value in read.attributes if name == "id"}
    assert {"#figure-1", "#place-figure-1"} <= links
    assert {link[1:] for link in links if link} <= ids
    assert "script" not in read.tags
