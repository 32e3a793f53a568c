"""Label tables read whole and strictly; what is wrong with one is told at once, with its lines."""

import datetime
import io
import re
import warnings
import zipfile

import openpyxl
import pytest

from medimeta.errors import DamagedSourceError, SourceNotFoundError, TableError
from medimeta.sources import tables
from medimeta.sources.find import open_archive
from medimeta.sources.tables import plain_name, read_csv, read_xlsx

PLAIN = "image,label\na.png,1\nb.png,2\n"
CELLS = [{"image": "a.png", "label": "1"}, {"image": "b.png", "label": "2"}]


@pytest.fixture
def source(extracted):
    """Lay a table into a folder, as text or bytes, and open that."""
    return lambda table, name="t.csv": open_archive(
        extracted({name: table if isinstance(table, bytes) else table.encode()})
    )


@pytest.fixture
def parsed(source):
    """Read a table; return its cells."""

    def read(table, columns=("image", "label"), **options):
        return [row.cells for row in read_csv(source(table), "t.csv", columns, **options)]

    return read


@pytest.fixture
def said(source):
    """Read a table that cannot be used; return the error."""

    def read(table, columns=("image", "label"), **options):
        with pytest.raises(TableError) as caught:
            read_csv(source(table), "t.csv", columns, **options)
        assert "t.csv" in str(caught.value)
        return caught.value

    return read


@pytest.mark.parametrize(
    "table",
    [
        PLAIN,
        "\ufeff" + PLAIN,
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        PLAIN.rstrip(),
        "\n" + PLAIN.replace("\n", "\n\n") + "  \n,\n",
        PLAIN.replace(",", " , "),
        PLAIN.replace("\n", ",,\n"),
        PLAIN.replace("1\n", "1,,\n"),
        PLAIN.replace("label", '"label"').replace("a.png", '"a.png"'),
        PLAIN.replace("a.png", '"a.png\n"').replace("b.png", '"b\r\n.png"'),
    ],
    ids=[
        "plain",
        "BOM",
        "CRLF",
        "CR",
        "no newline at the end",
        "empty lines",
        "blanks",
        "commas at the end of lines",
        "commas at the end of a row",
        "quotes",
        "newlines in cells",
    ],
)
def test_what_real_tables_carry_is_accepted(parsed, table):
    assert parsed(table) == CELLS


def test_both_a_bom_and_crlf_and_a_newline_in_a_cell(parsed):
    table = '\ufeffimage,label\r\n"a.png\r\n",1\r\nb.png,2\r\n'
    assert parsed(table) == CELLS


def test_columns_and_rows_keep_their_order_and_rows_know_their_place(source):
    table = read_csv(source("b,a\n2,1\n\n4,3\n"), "t.csv", ("a",))
    assert (table.columns, len(table)) == (("b", "a"), 2)
    assert [row["a"] for row in table] == ["1", "3"]
    assert [row.get("c") for row in table] == ["", ""]
    assert [row.get("c", "none") for row in table] == ["none", "none"]
    assert re.search(r"t\.csv, line 4$", table.rows[1].place)


def test_a_table_in_a_zip_reads_as_one_in_a_folder(zipped):
    assert [row.cells for row in read_csv(open_archive(zipped({"x/t.csv": PLAIN.encode()})), "x/t.csv", ())] == CELLS


def test_columns_are_found_by_the_names_that_they_are_given(parsed):
    table = "Image,Overall  quality\na.png,1\n"
    assert parsed(table, ("overall_quality",), rename=plain_name) == [{"image": "a.png", "overall_quality": "1"}]


def test_commas_in_a_head_that_is_not_quoted_make_columns(source):
    table = read_csv(source("Image Index,Size[Width,Height],\na.png,2,3,\n"), "t.csv", ())
    assert table.columns == ("Image Index", "Size[Width", "Height]")
    assert table.rows[0].cells == {"Image Index": "a.png", "Size[Width": "2", "Height]": "3"}


def test_another_sign_may_stand_between_cells(parsed):
    assert parsed(PLAIN.replace(",", "\t"), delimiter="\t") == CELLS


@pytest.mark.parametrize(("data", "text"), [("ä,é\nü,ß\n".encode(), "ü"), ("ä,é\nü,ß\n".encode("latin-1"), "ü")])
def test_a_table_that_is_not_utf8_is_read_as_latin_1(parsed, data, text):
    assert parsed(data, ("ä",)) == [{"ä": text, "é": "ß"}]


def test_a_table_without_rows_is_a_table(parsed):
    assert parsed("image,label\n") == []


@pytest.mark.parametrize("table", ["", "\n\n", ",,\n", "\ufeff"])
def test_an_empty_table_is_told(said, table):
    assert str(said(table)).endswith("t.csv: is empty.")


def test_all_missing_columns_are_told_with_those_that_are_there(said):
    error = said("image,Label\na.png,1\n", ("image", "label", "sex", "age"))
    assert "its columns are image, Label." in str(error)
    assert [problem.rpartition(": ")[2] for problem in error.problems] == [
        f"has no column {name!r}" for name in ("label", "sex", "age")
    ]


def test_a_column_that_is_twice_there_is_told(said):
    assert "has two columns 'label'" in str(said("image,label,label\na.png,1,2\n"))


def test_all_rows_that_are_too_long_or_too_short_are_told(said):
    error = said("image,label\na.png,1\nb.png\nc.png,1,2\nd.png,1,\ne.png,1\n")
    assert [problem.split("t.csv, ")[1] for problem in error.problems] == [
        "line 3: has 1 cells, the head has 2",
        "line 4: has 3 cells, the head has 2",
    ]


def test_all_keys_that_are_there_twice_are_told_with_both_lines(said):
    table = "image,eye,label\na.png,l,1\na.png,r,1\nb.png,l,2\na.png,l,3\nb.png,l,2\nb.png\n"
    error = said(table, key=("image", "eye"))
    assert [problem.split("t.csv, ")[1] for problem in error.problems] == [
        "line 5: image a.png, eye l is already in line 2",
        "line 6: image b.png, eye l is already in line 4",
        "line 7: has 1 cells, the head has 3",
    ]


def test_rows_may_repeat_where_nothing_tells_them_apart(parsed):
    assert len(parsed("image,label\na.png,1\na.png,1\n")) == 2


@pytest.mark.parametrize("cell", ['"a.png" or b.png', '"a.png', "x" * 2000])
def test_what_is_no_csv_is_told(said, monkeypatch, cell):
    monkeypatch.setattr(tables, "MAX_CELL_BYTES", 1000)
    assert "is not a table of comma-separated values" in str(said(f"image,label\n{cell},1\n"))


def test_an_image_that_is_called_a_table_is_told(said):
    said(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00")


def test_reading_leaves_the_limit_of_the_csv_module_as_it_was(parsed, said, monkeypatch):
    monkeypatch.setattr(tables, "MAX_CELL_BYTES", 1000)
    before = tables.csv.field_size_limit()
    parsed(PLAIN)
    said('image,label\n"a\n')
    assert tables.csv.field_size_limit() == before


def test_a_table_that_is_not_there_is_named(source):
    with pytest.raises(SourceNotFoundError, match="nosuch"):
        read_csv(source(PLAIN), "nosuch.csv", ())


def test_cells_that_say_the_same_are_held_once(source):
    first, second = read_csv(source("image,label\na.png,No Finding\nb.png,No Finding\n"), "t.csv", ())
    assert first["label"] is second["label"]


# Spreadsheets.


def book(*rows, edit=lambda name, data: data):
    """Write rows as a spreadsheet; `edit` changes the files that it is packed of."""
    file, changed = io.BytesIO(), io.BytesIO()
    written = openpyxl.Workbook()
    for row in rows:
        written.active.append(row)
    written.create_sheet("another").append(["not", "read"])
    written.save(file)
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            new.writestr(name, edit(name, old.read(name)))
    return changed.getvalue()


def replacing(part, pattern, by):
    return lambda name, data: re.sub(pattern, by, data) if name.endswith(part) else data


@pytest.fixture
def sheet(source):
    return lambda data, columns=(), **options: read_xlsx(source(data, "t.xlsx"), "t.xlsx", columns, **options)


def test_the_first_sheet_of_a_spreadsheet_is_read_as_text(sheet):
    rows = [["image_id", "DR Level "], ["1_l1", 3], [" 1_r1\n", 3.0], ["2_l1", 0.5], ["2_r1", None]]
    table = sheet(book(*rows), ("image_id", "dr_level"), key=("image_id",), rename=plain_name)
    assert table.columns == ("image_id", "dr_level")
    assert [tuple(row.cells.values()) for row in table] == [("1_l1", "3"), ("1_r1", "3"), ("2_l1", "0.5"), ("2_r1", "")]
    assert table.rows[1].place.endswith("t.xlsx, line 3")


def test_whole_numbers_are_whole_however_they_are_stored(sheet):
    data = book(["a", "b"], [3, 1.25], edit=replacing("sheet1.xml", b"<v>3</v>", b"<v>3.0</v>"))
    assert [row.cells for row in sheet(data)] == [{"a": "3", "b": "1.25"}]


def test_other_kinds_of_cells_read_as_they_show(sheet):
    day = datetime.datetime(2019, 5, 17)
    [row] = sheet(book(["a", "b", "c"], [True, day, "007"]))
    assert list(row.cells.values()) == ["True", "2019-05-17 00:00:00", "007"]


def test_lines_are_counted_as_the_program_shows_them(sheet):
    table = sheet(book(["a"], [None], [None], ["x"]))
    assert [(row["a"], row.place.rpartition(" ")[2]) for row in table] == [("x", "4")]


@pytest.mark.parametrize(
    "size", [b"", b'<dimension ref="A1"/>', b'<dimension ref="A1:B2"/>'], ids=["none", "A1", "A1:B2"]
)
def test_what_a_spreadsheet_says_of_its_size_does_not_matter(sheet, size):
    data = book(
        ["a", "b", "c"], ["1", None, None], ["2", "3", "4"], edit=replacing("sheet1.xml", rb"<dimension[^>]*>", size)
    )
    assert [list(row.cells.values()) for row in sheet(data)] == [["1", "", ""], ["2", "3", "4"]]


def test_warnings_about_the_style_of_a_spreadsheet_are_not_shown(sheet):
    data = book(["a"], ["1"], edit=replacing("styles.xml", rb"<cellStyles.*</cellStyles>", b""))
    with pytest.warns(UserWarning, match="no default style"):
        openpyxl.load_workbook(io.BytesIO(data))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(sheet(data)) == 1


def test_problems_of_a_spreadsheet_are_told_with_their_lines(sheet):
    rows = [["image", "label"], ["a", 1], ["a", 2], ["b", 1, "more"]]
    with pytest.raises(TableError) as caught:
        sheet(book(*rows), ("image",), key=("image",))
    assert [problem.split("t.xlsx, ")[1] for problem in caught.value.problems] == [
        "line 3: image a is already in line 2",
        "line 4: has 3 cells, the head has 2",
    ]
    with pytest.raises(TableError, match=r"t\.xlsx: has no column 'sex'"):
        sheet(book(*rows), ("sex",))
    with pytest.raises(TableError, match=r"t\.xlsx: is empty"):
        sheet(book())


WHOLE = book(["a"], ["1"])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        PLAIN.encode(),
        WHOLE[: len(WHOLE) // 2],
        book(["a"], edit=replacing("sheet1.xml", rb"(?s).*", b"")),
        book(["a"], edit=replacing("sheet1.xml", b"</sheetData>", b"")),
        book(["a"], edit=replacing("workbook.xml", rb"<sheet .*?/>", b"")),
    ],
    ids=["nothing", "a CSV", "cut short", "an empty sheet file", "broken XML", "no sheets"],
)
def test_what_is_no_spreadsheet_is_told(sheet, data):
    with pytest.raises(TableError, match=r"t\.xlsx: is not a spreadsheet that can be read"):
        sheet(data)


def test_a_spreadsheet_larger_than_any_table_is_refused_before_it_is_unpacked(sheet, monkeypatch):
    monkeypatch.setattr(tables, "MAX_XLSX_BYTES", 1000)
    with pytest.raises(TableError, match="bytes unpacked, more than the 1,000 that a table may have"):
        sheet(WHOLE)


def test_a_spreadsheet_that_is_not_there_or_damaged_in_its_zip_is_told_as_such(source, zipped):
    with pytest.raises(SourceNotFoundError, match="nosuch"):
        read_xlsx(source(WHOLE, "t.xlsx"), "nosuch.xlsx", ())
    path = zipped({"t.xlsx": bytes(range(256)) * 4})
    data = bytearray(path.read_bytes())
    data[data.index(b"t.xlsx") + 60] ^= 1
    path.write_bytes(data)
    with pytest.raises(DamagedSourceError, match=r"'t\.xlsx' is damaged"):
        read_xlsx(open_archive(path), "t.xlsx", ())
