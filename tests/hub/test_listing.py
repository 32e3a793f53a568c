"""Listings: every form in which a record tells its files, and all that is wrong with one at once."""

import json

import pytest

from medimeta.errors import ListingError, NotPublishedError
from medimeta.hub.listing import parse_listing
from medimeta.hub.matching import match_file
from medimeta.hub.remote import Checksum, RemoteFile

MD5 = "9e107d9d372bb6826bd81d3542a419d6"
ENTRY = {"key": "bus.zip", "size": 5, "checksum": f"md5:{MD5}", "links": {"self": "https://host/bus.zip"}}


def parsed(raw):
    return parse_listing(json.dumps(raw).encode(), "the place")


def refused(raw):
    with pytest.raises(ListingError) as error:
        parsed(raw)
    return str(error.value)


@pytest.mark.parametrize(
    "raw",
    [
        {"id": 7884735, "files": [ENTRY]},
        {"recid": "7884735", "files": [ENTRY]},
        {"files": {"entries": {"bus.zip": {key: ENTRY[key] for key in ("size", "checksum", "links")}}}},
        {"entries": [ENTRY]},
        {"files": [ENTRY | {"checksum": MD5.upper()}]},
    ],
    ids=["record", "recid as text", "entries by name", "entries alone", "bare checksum"],
)
def test_every_form_of_a_listing_reads(raw):
    assert parsed(raw).files == (RemoteFile("bus.zip", 5, Checksum("md5", MD5), ("https://host/bus.zip",)),)


def test_the_link_to_the_contents_is_taken():
    links = {"self": "https://host/describe", "content": "https://host/content"}
    assert parsed({"files": [ENTRY | {"links": links}]}).files[0].urls == ("https://host/content",)


def test_all_problems_are_told_at_once():
    entries = [
        {"key": "", "size": "5", "checksum": "md5:123"},
        ENTRY | {"size": -1},
        ENTRY | {"size": True, "key": "pbc.zip"},
        ENTRY | {"key": "bus\ud800.zip"},
        ENTRY | {"key": "a.zip", "size": 10**30},
        ENTRY | {"key": "b.zip", "links": {"self": "http://[::x/"}},
        {"key": "oct.zip", "size": 3},
        "bus.zip",
        ENTRY,
        ENTRY,
    ]
    message = refused({"files": entries})
    for told in (
        "the place: cannot be used.",
        "files.0.key: expected a name, got ''",
        "files.0.size: expected a number of bytes, got '5'",
        "files.0.checksum: expected 'md5:' and 32 hexadecimal digits (or md5, sha1, sha256, sha512), got 'md5:123'",
        "files.1.size: expected a number of bytes, got -1",
        "files.2.size: expected a number of bytes, got True",
        r"files.3.key: expected a name, got 'bus\ud800.zip'",
        "files.4.size: expected a number of bytes, got 1000000",
        "files.5.links: expected an address, got 'http://[::x/'",
        "files.6.checksum: expected 'md5:' and 32 hexadecimal digits (or md5, sha1, sha256, sha512), got nothing",
        "files.7: expected an object, got 'bus.zip'",
        "files: 'bus.zip' is listed twice",
        "https://zenodo.org/api/records/7884735",
    ):
        assert told in message


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"<html>Gateway", "is no listing: expected JSON, got '<html>Gateway'"),
        (b"\xff\xfe", "is no listing: expected JSON"),
        (b"[" * 100_000, "is no listing: expected JSON"),
        (b"[1]", "expected an object with files, got [1]"),
        (b"{}", "files: is missing"),
        (b'{"files": 3}', "files: is missing"),
        (b'{"files": []}', "files: is empty"),
    ],
)
def test_what_is_no_listing_is_told(data, told):
    with pytest.raises(ListingError, match="the place") as error:
        parse_listing(data, "the place")
    assert told in str(error.value)


def test_another_record_is_not_taken():
    """A new version has a new number: its files are other data, and would go unnoticed."""
    message = refused({"id": 9999999, "metadata": {"version": "2.0"}, "files": [ENTRY]})
    assert "lists record 9999999 (version 2.0)" in message
    assert "takes record 7884735 (release 1.0) alone" in message


@pytest.mark.parametrize(("version", "taken"), [("v1.0.0", True), ("1", True), ("1.1", False), ("2.0", False)])
def test_the_number_of_all_versions_answers_with_the_last_one(version, taken):
    raw = {"id": 7900000, "conceptrecid": "7884735", "metadata": {"version": version}, "files": [ENTRY]}
    if taken:
        assert parsed(raw).files
    else:
        assert f"lists record 7900000 (version {version})" in refused(raw)


@pytest.mark.parametrize(
    "said",
    [
        {"metadata": {"relations": {"version": [{"index": 0, "is_last": False}]}}},
        {"versions": {"index": 1, "is_latest": False}},
    ],
)
def test_a_newer_version_is_announced(said):
    links = {"latest_html": "https://zenodo.org/records/99/latest"}
    assert parsed({"id": 7884735, "files": [ENTRY], "links": links, **said}).newer == links["latest_html"]
    assert parsed({"id": 7884735, "files": [ENTRY], "links": links}).newer == ""


# Matching


def files(*names):
    return [RemoteFile(name, 10**6, None, ()) for name in names]


@pytest.mark.parametrize(
    ("dataset", "there", "expected"),
    [
        ("bus", ["LICENSE", "bus.zip", "pbc.zip"], "bus.zip"),
        ("bus", ["BUS.tar.gz"], "BUS.tar.gz"),
        ("bus", ["bus.tar.xz", "bus.zip"], "bus.zip"),
        ("bus", ["medimeta-bus_v1.0.zip"], "medimeta-bus_v1.0.zip"),
        ("bus", ["medimeta_bus.zip", "bus.tar"], "bus.tar"),
        ("organs_axial", ["organs-coronal.zip", "Organs-Axial.tgz"], "Organs-Axial.tgz"),
        ("mammo_mass", ["mammo_calc.zip", "mammo mass.zip"], "mammo mass.zip"),
    ],
)
def test_a_dataset_is_matched_by_its_id(dataset, there, expected):
    assert match_file(dataset, files(*there), "the record").key == expected
    assert match_file(dataset, files(*reversed(there)), "the record").key == expected


@pytest.mark.parametrize(
    "there",
    [["bus.pdf"], ["busy.zip"], ["bus_images.zip"], ["../bus.zip"], ["a/bus.zip"], [".bus.zip"], []],
)
def test_what_does_not_match_is_not_taken_and_what_there_is_is_told(there):
    with pytest.raises(NotPublishedError, match=r"the record: has no archive of bus\. There is:") as error:
        match_file("bus", files(*there), "the record")
    for name in there or ["nothing"]:
        assert name in str(error.value)


def test_an_archive_of_another_kind_is_told_before_it_is_fetched():
    with pytest.raises(NotPublishedError, match=r"has bus as bus\.7z, an archive that cannot be unpacked"):
        match_file("bus", files("bus.7z"), "the record")
