"""Pages: a report as one HTML file that needs nothing else, so that it can be mailed."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from tagifai.utils.secrets import mask

if TYPE_CHECKING:
    from jinja2 import Template


@dataclass(frozen=True)
class ReportFigure:
    """A figure.

    Args:
        title: what is to be seen, for those who cannot see it.
        svg: the file.
        wide: whether it takes the whole width of the page.
    """

    title: str
    svg: bytes
    wide: bool = False

    @property
    def base64(self) -> str:
        """The file as text."""
        return base64.b64encode(self.svg).decode()


@dataclass(frozen=True)
class ReportTable:
    """Rows of texts.

    Args:
        title: what they are.
        columns: their names.
        rows: a text a column.
        numbers: places of the columns that hold numbers.
        strong: places of the rows that stand out.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: Sequence[int] = ()
    strong: Sequence[int] = ()


@dataclass(frozen=True)
class ReportSetting:
    """A key of the configuration.

    Args:
        key: such as "model.alpha".
        value: that it has.
        default: that it has where nobody chooses anything.
        changed: whether they differ.
    """

    key: str
    value: str
    default: str
    changed: bool


@dataclass(frozen=True)
class HtmlReport:
    """What a report shows, in this order.

    Args:
        title: what it is about.
        subtitle: where it comes from.
        summary: names and values that are read first.
        notes: what a person should know before they believe them.
        pictures: figures.
        tables: figures in words.
        settings: the configuration.
        facts: names and values by heading.
        command: that does it again.
    """

    title: str
    subtitle: str
    summary: Sequence[tuple[str, str]]
    notes: Sequence[str] = ()
    pictures: Sequence[ReportFigure] = ()
    tables: Sequence[ReportTable] = ()
    settings: Sequence[ReportSetting] = ()
    facts: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)
    command: str = ""

    @property
    def changed(self) -> bool:
        """Whether a setting differs from its default."""
        return any(setting.changed for setting in self.settings)


def render(page: HtmlReport) -> str:
    """Return a page as HTML. All texts are escaped: names and labels are the user's."""
    return _template().render(page=replace(page, command=mask(page.command)))


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("tagifai.reporting", "templates")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    return environment.get_template("report.html.j2")


def list_settings(flat: Mapping[str, Any], defaults: Mapping[str, Any]) -> list[ReportSetting]:
    """Return the settings of a configuration beside those by default.

    Args:
        flat: values by key, such as "model.alpha".
        defaults: likewise; a key that is missing belongs to an option that was chosen.
    """
    return [
        ReportSetting(
            key,
            format_value(value),
            format_value(defaults[key]) if key in defaults else "not there",
            changed=key not in defaults or defaults[key] != value,
        )
        for key, value in flat.items()
    ]


def format_value(value: Any, length: int = 300) -> str:
    """Return a value as text; of a long one its beginning."""
    if value is None:
        return "none"
    if isinstance(value, list | tuple):
        value = ", ".join(mask(str(item)) for item in value) or "none"
    text = mask(str(value))
    return text if len(text) <= length else f"{text[:length]}… ({len(text)} characters)"
