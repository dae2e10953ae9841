from __future__ import annotations

from html.parser import HTMLParser

from tagifai.reporting import html_pages
from tagifai.reporting.html_pages import HtmlReport, ReportFigure, ReportTable

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
    pictures=[ReportFigure(EVIL, b"<svg xmlns='http://www.w3.org/2000/svg'/>")],
    tables=[ReportTable(EVIL, [EVIL, "F1"], [[EVIL, "0.5"]], numbers=[1], strong=[0])],
    settings=html_pages.list_settings({EVIL: EVIL, "seed": 42}, {"seed": 42}),
    facts={EVIL: [(EVIL, EVIL)]},
    command=EVIL,
)


def test_what_a_user_has_named_is_text_wherever_it_stands() -> None:
    read = Reader(html_pages.render(FULL))
    assert "script" not in read.tags
    # Title (twice) and subtitle, summary, note, table, settings, facts with their link, command.
    assert read.text.count(EVIL) == 3 + 2 + 1 + 3 + 2 + 4 + 1
    assert ("alt", EVIL) in read.attributes


def test_a_page_asks_for_nothing_from_elsewhere() -> None:
    html = html_pages.render(FULL)
    links = [value for name, value in Reader(html).attributes if name in ("src", "href")]
    assert links
    assert all(value and value.startswith(("#", "data:image/svg+xml;base64,")) for value in links)
    assert "default-src 'none'" in html
    assert "url(" not in html
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
