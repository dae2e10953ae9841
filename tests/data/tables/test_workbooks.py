from __future__ import annotations

import base64
import io
import lzma
import zipfile
from pathlib import Path

import pytest

from tagifai.data.limits import UnpackLimits
from tagifai.data.tables.containers import recognize
from tagifai.data.tables.workbooks import read_rows
from tagifai.exceptions import DataError

MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
SPREADSHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml"

XLS = """
/Td6WFoAAATm1rRGAgAhARYAAAB0L+Wj4BX/Aj5dAGgzvhyGMHdg9KSEKkAMHHYngvKRhtyIyie64aC3xgQTZ5vNmLlp
NRUqmeED08XozNH0Sz/ZqCLxYNmwx+4v1UI+paOKIneBVRFwGzT6D/ujymYAx2HNK6igkTgwCYzLHYse39FHGA104/DY
J4+VKGOmrUwK6ls6nK/V8ANGtcY3YFqYFEqCx5eWX79ofuY4cKoND/k7tx7JFKeHSazwp/H40Fv4HQxGZJEZZQu5Vmyg
Jkk4iVzyLa6iZkw3pUgy+2qGJpTfgG0AJ3TgLaN0a+vn9ZOi+pxZMQUA0oDk/3mrPwWv7yFjSb1pnzLoyN2XKeoxnUGk
g5uma2Oaih64WaOR8PjsTddf6ErsxDS/oCPAirTp29ZwVKrnJH/qsg7MEvuAEfQQNvgbxfElSic9KNbVC0sjPvJkz0iD
7mT66kMgevh8DVxtYBzDW9NZ+0O8vvuWJjyGSYZo3cO7AB5DWNefNtBYMAFXHQfEDWeO5fjJA9u/V2rZa+jAHxamUE3e
3Mi6J4ZFD1NspjOnkME11yDHu+smEfyuTNjpGnPF05bR3EMT/uEPnECBQ0OCngYiPYjqir1MLuiaS3U8jkqByTootxSj
AGDXig4DQtg4xWX+Esp3H5vOpo+m/OhdnhCZNOfEb39BPee4Ih7kQ80JylrgTmvabT1mlyO96h02yYnL1KaG7bIXfgOV
TbVwoKQUd4R4ZAlPvyR7hKvGBWnwAt9Dyzq74/9quwfRRgyI1PzmmUS7MyYNbJgPJku780AAAADU+6zD8gvb1wAB2gSA
LAAA60R+WbHEZ/sCAAAAAARZWg==
"""
"""Made by another program: a header, and a row with a text, a whole number and a date."""


def make_xlsx(**sheets: str) -> bytes:
    """Make a workbook of sheets of which the rows are given as XML."""
    names = list(sheets)
    members = {
        "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types">'
        '<Default Extension="xml" ContentType="application/xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r0"'
        f' Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook {MAIN} xmlns:r="{OFFICE}"><sheets>'
        + "".join(
            f'<sheet name="{name.removesuffix("_hidden")}" sheetId="{i}" r:id="r{i}"'
            + (' state="hidden"/>' if name.endswith("_hidden") else "/>")
            for i, name in enumerate(names, 1)
        )
        + "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships">'
        + "".join(
            f'<Relationship Id="r{i}" Type="{OFFICE}/worksheet" Target="worksheets/s{i}.xml"/>'
            for i in range(1, len(names) + 1)
        )
        + f'<Relationship Id="r99" Type="{OFFICE}/styles" Target="styles.xml"/></Relationships>',
        "xl/styles.xml": f'<styleSheet {MAIN}><cellXfs count="4"><xf numFmtId="0"/>'
        '<xf numFmtId="14"/><xf numFmtId="22"/><xf numFmtId="21"/></cellXfs></styleSheet>',
        **{
            f"xl/worksheets/s{i}.xml": f"<worksheet {MAIN}><sheetData>{xml}</sheetData></worksheet>"
            for i, xml in enumerate(sheets.values(), 1)
        },
    }
    return pack(members)


def make_ods(rows: str, name: str = "Data") -> bytes:
    spaces = {
        item: f"urn:oasis:names:tc:opendocument:xmlns:{item}:1.0"
        for item in ("office", "table", "text")
    }
    known = " ".join(f'xmlns:{item}="{space}"' for item, space in spaces.items())
    return pack(
        {
            "mimetype": "application/vnd.oasis.opendocument.spreadsheet",
            "content.xml": f"<office:document-content {known}><office:body><office:spreadsheet>"
            f'<table:table table:name="{name}">{rows}</table:table>'
            "</office:spreadsheet></office:body></office:document-content>",
            "META-INF/manifest.xml": "<a/>",
        }
    )


def pack(members: dict[str, str]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            stored = zipfile.ZIP_STORED if name == "mimetype" else None
            archive.writestr(name, text, stored)
    return content.getvalue()


def write_text(place: str, text: str) -> str:
    return f'<c r="{place}" t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'


HEADER = f'<row r="1">{write_text("A1", "text")}{write_text("B1", "label")}</row>'
ROW = f'<row r="2">{write_text("A2", "good")}<c r="B2"><v>1</v></c></row>'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file.csv"


def read(path: Path, content: bytes, sheet: str | None = None, max_mb: int = 10) -> list[object]:
    path.write_bytes(content)
    return list(read_rows(path, sheet, "It", UnpackLimits(max_mb)))


def refused(path: Path, content: bytes, sheet: str | None = None, max_mb: int = 10) -> str:
    with pytest.raises(DataError) as caught:
        read(path, content, sheet, max_mb)
    return str(caught.value)


# --- cells and rows ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ('<c r="A2"><v>1</v></c>', "1"),
        ('<c r="A2"><v>-3.0</v></c>', "-3"),
        ('<c r="A2"><v>0.1</v></c>', "0.1"),
        ('<c r="A2"><v>1e300</v></c>', "1e+300"),
        ('<c r="A2" t="b"><v>1</v></c>', "true"),
        ('<c r="A2" s="1"><v>45293</v></c>', "2024-01-02"),
        ('<c r="A2" s="2"><v>45293.5</v></c>', "2024-01-02T12:00:00"),
        ('<c r="A2" s="3"><v>0.25</v></c>', "06:00:00"),
        ('<c r="A2" t="str"><f>B2&amp;C2</f><v>kept</v></c>', "kept"),
        ('<c r="A2"><f>1/B2</f><v>0.5</v></c>', "0.5"),
        ('<c r="A2" t="str"><f>IF(B2,"",1)</f><v></v></c>', None),
        ('<c r="A2" t="e"><v>#N/A</v></c>', None),
        ('<c r="A2" t="e"><f>NA()</f><v>#N/A</v></c>', None),
        (write_text("A2", " 01 "), " 01 "),
        (write_text("A2", "NA"), "NA"),
        (write_text("A2", "a_x000D_&#10;b"), "a\r\nb"),
        (write_text("A2", "row&gt; &lt;f&gt;"), "row> <f>"),
    ],
)
def test_a_cell_is_the_text_of_its_value(file: Path, cell: str, text: str | None) -> None:
    rows = f'{HEADER}<row r="2">{cell}{write_text("B2", "pos")}</row>'
    assert read(file, make_xlsx(Data=rows)) == [(1, ["text", "label"]), (2, [text, "pos"])]


def test_blank_rows_and_columns_are_none_and_numbers_are_those_of_the_sheet(file: Path) -> None:
    rows = (
        f'<row r="3">{write_text("B3", "text")}{write_text("C3", "label")}</row><row r="4"/>'
        f'<row r="5">{write_text("C5", "pos")}</row><row r="9"><c r="B9" s="1"/></row>'
        f'<row r="7">{write_text("B7", "")}</row>'
    )
    assert read(file, make_xlsx(Data=rows)) == [(3, ["text", "label"]), (5, [None, "pos"])]


def test_the_first_of_merged_cells_has_their_value(file: Path) -> None:
    rows = f'{HEADER}{ROW}<row r="3">{write_text("A3", "fine")}</row></sheetData>'
    rows += '<mergeCells count="1"><mergeCell ref="B2:B3"/></mergeCells><sheetData>'
    assert read(file, make_xlsx(Data=rows))[1:] == [(2, ["good", "1"]), (3, ["fine", None])]


def test_ods_has_the_same_texts(file: Path) -> None:
    rows = "".join(
        f"<table:table-row>{cells}</table:table-row>"
        for cells in (
            '<table:table-cell office:value-type="string"><text:p>text</text:p></table:table-cell>',
            '<table:table-cell office:value-type="float" office:value="1"/>',
            '<table:table-cell office:value-type="date" office:date-value="2024-01-02"/>',
            '<table:table-cell office:value-type="boolean" office:boolean-value="true"/>',
            '<table:table-cell table:formula="1+1" office:value-type="float" office:value="2"/>',
        )
    )
    assert read(file, make_ods(rows)) == [
        *((1, ["text"]), (2, ["1"]), (3, ["2024-01-02"]), (4, ["true"]), (5, ["2"]))
    ]
    assert recognize(file, "It") == "workbook"


def test_xls_has_the_same_texts(file: Path) -> None:
    content = lzma.decompress(base64.b64decode(XLS))
    assert read(file, content) == [
        (1, ["text", "label", "when"]),
        (2, ["Schön", "1", "2024-01-02"]),
    ]
    assert recognize(file, "It") == "workbook"


# --- sheets ------------------------------------------------------------------------------------


def test_the_only_sheet_that_is_seen_and_filled_is_taken(file: Path) -> None:
    content = make_xlsx(Empty="", Data=HEADER, Lists_hidden=ROW)
    assert read(file, content) == [(1, ["text", "label"])]
    assert read(file, content, "Lists") == [(2, ["good", "1"])]
    assert read(file, content, "Empty") == []


def test_several_sheets_are_named(file: Path) -> None:
    assert refused(file, make_xlsx(One=HEADER, Two=ROW)) == (
        "It has 2 visible sheets with cells: choose one of 'One', 'Two' by data.sheet."
    )


def test_a_sheet_that_is_not_there_is_named_with_the_nearest(file: Path) -> None:
    assert refused(file, make_xlsx(Reviews=HEADER, More=ROW), "reviews") == (
        "It has no sheet 'reviews' (data.sheet). Did you mean 'Reviews'? It has: 'Reviews', 'More'."
    )


# --- what is refused ---------------------------------------------------------------------------

OPEN = "open it in a spreadsheet program and save it, or save it as CSV."


@pytest.mark.parametrize(
    "cell",
    [
        '<c r="B3"><f>A3&amp;A2</f><v/></c>',
        '<c r="B3"><f>A3/A2</f><v></v></c>',
        '<c r="B3" s="1"><f t="shared" ref="B3:B9" si="0">A3</f></c>',
        '<c s="1" r="B3"><f t="shared" si="0"/></c>',
    ],
)
def test_a_formula_without_its_value_is_refused_by_its_cell(file: Path, cell: str) -> None:
    unkept = f'{HEADER}{ROW}<row r="3">{write_text("A3", "x")}{cell}</row>'
    content = make_xlsx(Data=unkept, Other=HEADER)
    message = f"It: the value of the formula in Data!B3 was not kept: {OPEN}"
    assert refused(file, content, "Data") == message
    assert read(file, content, "Other") == [(1, ["text", "label"])]


def test_a_formula_without_its_value_is_refused_by_its_row_in_ods(file: Path) -> None:
    rows = (
        '<table:table-row table:number-rows-repeated="2"><table:table-cell/></table:table-row>'
        '<table:table-row><table:table-cell table:formula="of:=[.A1]"/></table:table-row>'
    )
    message = f"It: the value of the formula in row 3 of A&B was not kept: {OPEN}"
    assert refused(file, make_ods(rows, "A&amp;B")) == message


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("kind", ["xlsx", "ods", "xls"])
def test_a_damaged_workbook_is_one_sentence(
    file: Path, kind: str, kept: float, capfd: pytest.CaptureFixture[str]
) -> None:
    xls = lzma.decompress(base64.b64decode(XLS))
    content = {"xlsx": make_xlsx(Data=HEADER + ROW), "ods": make_ods(""), "xls": xls}[kind]
    message = refused(file, content[: int(len(content) * kept)])
    assert message.startswith("It is a workbook that is damaged, protected or of an unknown kind (")
    assert message.endswith("): open it in a spreadsheet program and save it as CSV.")
    assert capfd.readouterr().err == ""


def test_a_workbook_without_its_parts_is_damaged(file: Path) -> None:
    message = refused(file, pack({"[Content_Types].xml": "<Types/>"}))
    assert message.startswith("It is a workbook that is damaged")


def test_a_workbook_that_is_too_large_unpacked_is_refused_with_the_setting(file: Path) -> None:
    content = make_xlsx(Data=HEADER + " " * 2_500_000)
    assert refused(file, content, max_mb=2) == (
        "It has more than 2 MB when it is unpacked; if that is right, set data.max_unpacked_mb=4."
    )
    assert read(file, content, max_mb=4) == [(1, ["text", "label"])]


def test_a_cell_that_is_far_away_takes_no_memory(file: Path) -> None:
    rows = f'{HEADER}<row r="1048576">{write_text("XFD1048576", "x")}</row>'
    assert refused(file, make_xlsx(Data=rows), max_mb=4000) == (
        "It has cells in 1,048,576 rows and 16,384 columns of sheet 'Data': delete those far from"
        " the table, or save it as CSV."
    )
