"""``list`` and ``show``: the catalogue on screen, for machines, and as citations."""

import json

import pytest

import medimeta as mm
from medimeta.catalogue.bibtex import bibtex

NOT_COMMERCIAL = {"derm", "organs_axial", "organs_coronal", "organs_sagittal", "skinl_derm", "skinl_photo"}


def listed(command, *arguments):
    done = command("list", "--json", *arguments)
    assert (done.code, done.err) == (0, "")
    return json.loads(done.out)


def test_list_shows_every_dataset_and_counts(command):
    done = command("list")
    assert (done.code, done.err) == (0, "")
    assert "19 datasets, 54 tasks, 10 domains" in done.out
    for card in mm.datasets():
        [line] = [line for line in done.out.splitlines() if line.startswith(f"│ {card.id} ")]
        cells = [cell.strip() for cell in line.strip("│").split("│")]
        use = "no" if card.id in NOT_COMMERCIAL else "yes"
        assert cells == [card.id, card.name, card.domain, f"{card.samples.total:,}", str(len(card.tasks)), use]


def test_list_for_machines_has_19_datasets_54_tasks_and_10_domains(command):
    raw = listed(command)
    assert (len(raw["datasets"]), len(raw["tasks"]), len(raw["domains"])) == (19, 54, 10)
    assert raw["tasks"] == [task.id for task in mm.tasks()]
    bus = next(card for card in raw["datasets"] if card["id"] == "bus")
    assert bus["samples"] == {"total": 780, "train": 546, "val": 78, "test": 156}
    assert bus["tasks"][0] == {"name": "case category", "target": "MULTICLASS_CLASSIFICATION", "labels": 3}
    assert {card["id"] for card in raw["datasets"] if card["buildable"]} >= {"bus", "pbc"}
    assert {card["id"] for card in raw["datasets"] if not card["commercial_use"]} == NOT_COMMERCIAL


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--domain", "retinal fundus", "--target", "ordinal"], {"dr_regular", "dr_uwf"}),
        (["--non-commercial"], NOT_COMMERCIAL),
        (["--commercial", "--domain", "Dermatoscopy"], set()),
        (["--licence", "cc-by-nc-4.0"], {"derm"}),
        (["--max-samples", "780"], {"bus", "dr_uwf"}),
        (["--min-samples", "107180"], {"crc", "cxr", "oct"}),
        (["--overlaps", "aml"], {"pbc"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_list_takes_every_filter(command, options, expected):
    assert {card["id"] for card in listed(command, *options)["datasets"]} == expected
    assert command("list", *options).out.startswith(f"{len(expected)} datasets")


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--domain", "Retina", "unknown domain 'Retina'. Did you mean 'Retinal fundus'"),
        ("--target", "multi-clas", "unknown target 'multi-clas'. Did you mean 'multi-class'"),
        ("--licence", "CC-BY-NC", "unknown licence 'CC-BY-NC'. Did you mean 'CC-BY-NC-"),
        ("--overlaps", "skinl-photos", "unknown dataset 'skinl-photos'. Did you mean 'skinl_photo'"),
    ],
)
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_unknown_values_of_filters_offer_those_near(command, option, value, message, form):
    done = command("list", option, value, *form)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"error: {message}")


def squeezed(text):
    return "".join(text.split())


@pytest.mark.parametrize("card", mm.datasets(), ids=lambda card: card.id)
def test_show_tells_what_the_card_says(command, card):
    done = command("show", card.id)
    assert (done.code, done.err) == (0, "")
    shown = squeezed(done.out)
    facts = [card.name, card.summary, f"{card.samples.total:,}", card.released_licence, *card.notes, card.domain]
    facts += [fact for source in card.sources for fact in (source.url, source.licence)]
    facts += [*card.domain_overlaps, *card.subject_overlaps]
    facts += [fact for erratum in card.errata for fact in (f"{erratum.id}: affects {erratum.affects}", erratum.here)]
    facts += [erratum.release for erratum in card.errata]
    assert [fact for fact in facts if squeezed(fact) not in shown] == []
    assert f"{card.primary_task} (primary)" in done.out
    assert ("not allowed (the strictest licence decides)" in done.out) == (card.id in NOT_COMMERCIAL)


@pytest.mark.parametrize("card", mm.datasets(), ids=lambda card: card.id)
def test_show_lists_the_errata_and_whether_a_build_repeats_them(command, card):
    shown = command("show", card.id).out
    assert ("Errata of release 1.0" in shown) == bool(card.errata)
    told = [line.split(None, 1)[1].strip() for line in shown.splitlines() if line.startswith("  repeatable")]
    assert told == ["yes, by build --release-errata" if erratum.repeatable else "no" for erratum in card.errata]


def test_a_url_is_not_cut_off_on_a_narrow_screen(command, monkeypatch):
    monkeypatch.setattr("medimeta.cli.console.PIPE_WIDTH", 60)
    assert squeezed(mm.dataset("mammo_calc").sources[0].url) in squeezed(command("show", "mammo_calc").out)


@pytest.mark.parametrize("task", mm.tasks(), ids=lambda task: task.id)
def test_show_of_a_task_has_every_label_with_its_stored_integer(command, task):
    done = command("show", task.id)
    assert (done.code, done.err) == (0, "")
    cells = [line.strip("│").split("│") for line in done.out.splitlines() if line.startswith("│")]
    assert {int(key): label.strip() for key, label in cells} == dict(task.labels)


def test_show_for_machines_is_the_card(command):
    card = mm.dataset("mammo_mass")
    raw = json.loads(command("show", "Mammo-Mass", "--json").out)
    assert [erratum["id"] for erratum in raw["errata"]] == ["shared-patients-undeclared"]
    assert raw.pop("commercial_use") is True
    assert mm.DatasetCard.model_validate(raw) == card
    task = mm.task("dr_regular/Clarity")
    assert mm.TaskCard.model_validate(json.loads(command("show", task.id, "--json").out)) == task


@pytest.mark.parametrize("name", ["bus", "bus/malignancy"])
def test_show_prints_what_to_cite(command, name):
    assert command("show", name, "--bibtex") == (0, bibtex(mm.dataset("bus")) + "\n", "")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("buss", "error: unknown dataset 'buss'. Did you mean 'bus'"),
        ("bus/malignant", "error: unknown task of bus 'malignant'. Did you mean 'malignancy'"),
        ("bus/", "error: unknown task of bus ''. Known: case category, malignancy."),
        ("/malignancy", "error: unknown dataset ''. Known: aml, "),
        ("", "error: unknown dataset ''. Known: aml, "),
        ("../../etc/passwd", "error: unknown dataset '..'"),
    ],
)
@pytest.mark.parametrize("form", [[], ["--json"], ["--bibtex"]])
def test_show_of_what_is_not_there_is_told(command, name, message, form):
    done = command("show", name, *form)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(message)


def test_brackets_in_a_card_are_shown_as_they_are(capsys, monkeypatch):
    """Rich would take them for colours, and leave them out."""
    from medimeta.catalogue.catalogue import Catalogue, default_catalogue
    from medimeta.cli import show

    bus = default_catalogue().dataset("bus")
    odd = bus.model_copy(update={"name": "[red]Ultrasound[/]", "notes": ("[bold]a note",)})
    monkeypatch.setattr(Catalogue, "dataset", lambda self, name: odd)
    show.command("bus")
    shown = capsys.readouterr().out
    assert "bus  [red]Ultrasound[/]" in shown
    assert "- [bold]a note" in shown
