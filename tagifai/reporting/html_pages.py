"""Render a report as one self-contained HTML file, so that it can be mailed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from tagifai.utils.excerpts import make_lines_visible
from tagifai.utils.secrets import mask

HIDDEN_GROUPS = ("paths", "sweep", "task", "console", "plots")
"""Groups that have no influence on the model."""

if TYPE_CHECKING:
    from jinja2 import Template


@dataclass(frozen=True)
class ReportFigure:
    """A figure of a report.

    Args:
        title: alternative text, for those who cannot see the figure.
        svg: the figure as a part of the page; it is not escaped.
        wide: whether it takes the whole width of the page.
    """

    title: str
    svg: str
    wide: bool = False


@dataclass(frozen=True)
class ReportTable:
    """A table of a report.

    Args:
        title: heading.
        columns: names of the columns.
        rows: texts, one for each column.
        numbers: indices of the columns that have numbers.
        strong: indices of the rows that are bold.
        pictures: figures of what the table has, below it.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: Sequence[int] = ()
    strong: Sequence[int] = ()
    pictures: Sequence[ReportFigure] = ()


@dataclass(frozen=True)
class ReportExample:
    """A text with words that are marked.

    Args:
        heading: what it is an example of.
        words: each with the white space after it, and how strongly it speaks for what the heading
            says, from -1 (against it) to 1.
    """

    heading: str
    words: Sequence[tuple[str, float]]


@dataclass(frozen=True)
class ReportSetting:
    """A setting of the configuration.

    Args:
        key: such as "model.alpha".
        value: as a text.
        default: as a text.
        changed: whether value and default differ.
    """

    key: str
    value: str
    default: str
    changed: bool


@dataclass(frozen=True)
class HtmlReport:
    """The content of a report, in its order.

    Args:
        title: heading of the page.
        subtitle: id, time and folder.
        summary: the most important names and values.
        notes: warnings about the values.
        pictures: figures.
        tables: of scores or trials.
        examples: texts by heading.
        settings: the configuration.
        facts: names and values by heading.
        command: the command that makes the same again.
    """

    title: str
    subtitle: str
    summary: Sequence[tuple[str, str]]
    notes: Sequence[str] = ()
    pictures: Sequence[ReportFigure] = ()
    tables: Sequence[ReportTable] = ()
    examples: Mapping[str, Sequence[ReportExample]] = field(default_factory=dict)
    settings: Sequence[ReportSetting] = ()
    facts: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)
    command: str = ""

    @property
    def changed(self) -> bool:
        """Whether a setting differs from its default."""
        return any(setting.changed for setting in self.settings)


def render(page: HtmlReport) -> str:
    """Return a report as HTML. All texts are escaped, because names and labels are the user's."""
    return _template().render(page=page)


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("tagifai.reporting", "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, finalize=_make_visible
    )
    return environment.get_template("report.html.j2")


def _make_visible(value: Any) -> Any:
    """Return a text as a page shows it, which may keep words together by blanks that do so."""
    if type(value) is not str:  # pictures and the like
        return value
    return "\u00a0".join(make_lines_visible(part, "") for part in value.split("\u00a0"))


def list_settings(flat: Mapping[str, Any], defaults: Mapping[str, Any]) -> list[ReportSetting]:
    """Return the settings of a configuration, compared with their defaults.

    Args:
        flat: values by key, such as "model.alpha".
        defaults: likewise; a key that is missing belongs to an option that was chosen.
    """
    return [
        ReportSetting(
            key,
            format_value(value),
            format_value(defaults[key]) if key in defaults else "not set",
            changed=key not in defaults or defaults[key] != value,
        )
        for key, value in flat.items()
    ]


def format_value(value: Any, length: int = 300) -> str:
    """Return a value as a text; of a long one its beginning."""
    if value is None:
        return "none"
    if isinstance(value, list | tuple):
        value = ", ".join(mask(str(item)) for item in value) or "none"
    text = mask(str(value))
    return text if len(text) <= length else f"{text[:length]}… ({len(text)} characters)"
