"""The report in a real browser: on a desktop and on a phone, light and dark."""

from pathlib import Path

import pytest
from tests.benchmark.browser import Browser, find_browser

from medimeta.benchmark.report import write_report

WIDTHS = (1280, 390)

OPEN_ALL = "document.querySelectorAll('details').forEach(each => { each.open = true })"
FAULTS = Path(__file__).with_name("faults.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A browser that is started once."""
    program = find_browser()
    if program is None:
        pytest.skip("there is no Chromium or Chrome on this machine (Debian: apt-get install chromium)")
    with Browser(program, tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture(scope="module")
def url(results_folder):
    """Where the report is."""
    return write_report(results_folder, ["html"])[0].as_uri()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_is_whole(browser, url, width, dark):
    """No message in the console, no request to anywhere; nothing is too wide, empty, cut off, on top of another, or
    too faint to read."""
    browser.open(url, width=width, dark=dark)
    browser.evaluate(OPEN_ALL)
    assert {kind: found for kind, found in browser.evaluate(FAULTS).items() if found} == {}
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.evaluate("document.querySelectorAll('.plot > svg').length") > 15
    told = [event for event in browser.events if event.get("method") in ("Log.entryAdded", "Runtime.consoleAPICalled")]
    assert told == []
    asked = [
        event["params"]["request"]["url"]
        for event in browser.events
        if event.get("method") == "Network.requestWillBeSent"
    ]
    assert [each for each in asked if each != url and not each.startswith("data:")] == []


def test_dark_mode_changes_background_and_plots(browser, url):
    asked = [
        "getComputedStyle(document.body).backgroundColor",
        "getComputedStyle(document.querySelector('.plot > svg text')).fill",
        "getComputedStyle(document.querySelector('.plot > svg .line.c0')).stroke",
    ]
    found = []
    for dark in (False, True):
        browser.open(url, width=1280, dark=dark)
        found.append([browser.evaluate(each) for each in asked])
    assert all(light != dark for light, dark in zip(*found, strict=True))


def test_tables_scroll_inside_their_box_on_a_phone(browser, url):
    browser.open(url, width=390)
    wide = "[...document.querySelectorAll('.scroll')].filter(each => each.scrollWidth > each.clientWidth).length"
    assert browser.evaluate(wide) > 0
    assert browser.evaluate("document.documentElement.scrollWidth") == 390


def test_everything_is_there_without_scripts(browser, url):
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(url, width=1280)
        root = browser.call("DOM.getDocument", depth=0)["root"]["nodeId"]
        tables = browser.call("DOM.querySelectorAll", nodeId=root, selector="main table")["nodeIds"]
        plots = browser.call("DOM.querySelectorAll", nodeId=root, selector=".plot > svg")["nodeIds"]
        assert len(tables) > 5
        assert len(plots) > 15
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)


def test_faults_are_found(browser, url):
    """The check of the page finds what it looks for."""
    browser.open(url, width=1280)
    browser.evaluate(OPEN_ALL)
    browser.evaluate("""
      document.querySelector('main').insertAdjacentHTML('beforeend', `
        <p style="width: 2000px">wide</p>
        <p style="color: #aaa; background: #fff">faint</p>
        <svg width="0" height="0"></svg>
        <div class="plot"><svg viewBox="0 0 100 100" width="100">
          <text x="-20" y="50">cut</text><text x="40" y="80">one</text><text x="45" y="80">other</text>
        </svg></div>`)
    """)
    found = browser.evaluate(FAULTS)
    assert {kind: len(each) for kind, each in found.items()} == {
        "wider": 1,
        "empty": 1,
        "clipped": 1,
        "overlapping": 1,
        "faint": 1,
    }
