"""Populations: generated or read from FHIR bundles, with every mistake of a bundle told."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.coverage import Coverage
from fhir.resources.R4B.patient import Patient as FhirPatient

from experiment.errors import ConfigError
from experiment.workload import Population
from reference_system.workload.population import generate, read_bundles

DATA = os.environ.get("CODEBLUE_DATA", "")
BUNDLES = Path(DATA) / "synthea_r4"
needs_data = pytest.mark.skipif(
    not DATA or not BUNDLES.is_dir(), reason="CODEBLUE_DATA names no folder with synthea_r4"
)


def bundle(*resources: Any) -> dict[str, Any]:
    return {"resourceType": "Bundle", "entry": [{"resource": resource} for resource in resources]}


def patient(id_: Any = "p-1", **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": id_, **more}


def request(text: Any) -> dict[str, Any]:
    return {"resourceType": "MedicationRequest", "medicationCodeableConcept": {"text": text}}


def resources(people: Population, kind: str) -> list[dict[str, Any]]:
    return list(people.data[kind])


def medicines(subject: Any) -> list[tuple[str, float]]:
    return [(one["medication"], one["dose_mg"]) for one in subject["medications"]]


def write(folder: Path, name: str, content: Any) -> Path:
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_a_folder_is_told_by_its_patients(tmp_path: Path) -> None:
    """Same name and number, other patients: another source. The same patients in other files: the same."""
    sources = []
    for place, content in (("a", patient()), ("b", patient(gender="female")), ("c", patient())):
        folder = tmp_path / place / "clinic"
        folder.mkdir(parents=True)
        sources.append(read_bundles(write(folder, f"{place}.json", bundle(content))).source)
    assert sources[0] != sources[1]
    assert sources[0] == sources[2]


def test_the_seed_fixes_the_patients() -> None:
    """Same seed, same people; another seed, others; keys alike, so that plans can be compared."""
    assert generate(30, 1) == generate(30, 1)
    assert generate(30, 1) != generate(30, 2)
    assert [p["patient"] for p in generate(30, 1).subjects] == [
        p["patient"] for p in generate(30, 2).subjects
    ]


def test_generated_patients_are_valid_fhir() -> None:
    """Patient and Coverage pass a full validator; ids are unique and agree with the resources."""
    made = generate(50, 1)
    for each, person, coverage in zip(
        made.subjects, resources(made, "patients"), resources(made, "coverages"), strict=True
    ):
        FhirPatient.model_validate(person)
        Coverage.model_validate(coverage)
        assert (person["id"], coverage["id"]) == (each["patient"], each["coverage"])
        assert coverage["beneficiary"] == {"reference": f"Patient/{person['id']}"}
        assert each["medications"]
        assert all(dose > 0 for _, dose in medicines(each))
    assert len({each["patient"] for each in made.subjects}) == 50
    assert len({each["coverage"] for each in made.subjects}) == 50


def test_a_bundle_gives_its_patient_medicines_and_coverage(tmp_path: Path) -> None:
    """The strength stands in the medicine's text; a medicine without one takes 1 mg."""
    coverage = {"resourceType": "Coverage", "id": "c-9", "status": "cancelled"}
    requests = (
        request("24 HR Metoprolol Tartrate 100 MG Extended Release Oral Tablet"),
        request("Hydrocodone 7.5 MG Oral Tablet"),
        request("Insulin pen"),
        request("Placebo 0 MG Tablet"),
        request(None),
    )
    folder = write(tmp_path, "a.json", bundle(patient(), coverage, *requests))
    people = read_bundles(folder)
    (only,) = people.subjects
    assert (only["patient"], only["coverage"]) == ("p-1", "c-9")
    assert resources(people, "coverages")[0]["status"] == "cancelled"
    assert medicines(only) == [
        ("24 HR Metoprolol Tartrate 100 MG Extended Release Oral Tablet", 100.0),
        ("Hydrocodone 7.5 MG Oral Tablet", 7.5),
        ("Insulin pen", 1.0),
        ("Placebo 0 MG Tablet", 1.0),
    ]


def test_a_patient_without_coverage_or_medicine_gets_both(tmp_path: Path) -> None:
    """So that every journey can be played with every patient."""
    people = read_bundles(write(tmp_path, "a.json", bundle(patient("p-7"))))
    (only,) = people.subjects
    assert only["coverage"] == "cov-p-7"
    assert resources(people, "coverages")[0]["status"] == "active"
    assert len(medicines(only)) == 1


def test_all_forms_of_files_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    """*.json, *.ndjson and *.ndjson.gz; a manifest that is no bundle is passed over."""
    write(tmp_path, "1.json", bundle(patient("p-1")))
    write(tmp_path, "2.ndjson", "\n".join(json.dumps(bundle(patient(f"p-{n}"))) for n in (2, 3)) + "\n\n")
    (tmp_path / "3.ndjson.gz").write_bytes(gzip.compress(json.dumps(bundle(patient("p-4"))).encode()))
    write(tmp_path, "manifest.json", [{"bytes": 1}])
    found = read_bundles(tmp_path)
    assert [each["patient"] for each in found.subjects] == ["p-1", "p-2", "p-3", "p-4"]
    assert found.source.startswith(f"{tmp_path.name} (4 patients from FHIR bundles, ")


def test_one_patient_twice_is_a_mistake(tmp_path: Path) -> None:
    """Two records of one person would be one subject, or two users with one key; both places are told."""
    write(tmp_path, "1.json", bundle(patient("p-1")))
    write(tmp_path, "2.json", bundle(patient("p-1")))
    with pytest.raises(ConfigError, match=r"2\.json:1:1: found the patient p-1 a second time") as caught:
        read_bundles(tmp_path)
    assert f"(first at {tmp_path / '1.json'}:1:1)" in str(caught.value)


def test_a_packed_file_that_fills_the_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few kilobytes may unpack to as many gigabytes."""
    monkeypatch.setattr("reference_system.workload.population.LARGEST", 10_000)
    (tmp_path / "a.ndjson.gz").write_bytes(gzip.compress(b" " * 100_000))
    with pytest.raises(ConfigError, match="more than 10,000 bytes when it is unpacked"):
        read_bundles(tmp_path)


def test_a_line_separator_inside_a_name_does_not_split_a_line(tmp_path: Path) -> None:
    """JSON may hold U+2028 as it is; only a newline ends a line of NDJSON."""
    text = json.dumps(bundle(patient(name=[{"family": "A\u2028B"}])), ensure_ascii=False)
    people = read_bundles(write(tmp_path, "a.ndjson", text + "\n"))
    assert resources(people, "patients")[0]["name"][0]["family"] == "A\u2028B"


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    """Files from Windows tools begin with one."""
    (tmp_path / "a.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(bundle(patient())).encode())
    assert len(read_bundles(tmp_path).subjects) == 1


@pytest.mark.parametrize(
    "odd", [None, [], "text", {"resource": None}, {"resource": []}, {"fullUrl": "x"}], ids=repr
)
def test_odd_entries_are_passed_over(tmp_path: Path, odd: Any) -> None:
    """An entry without a resource is legal FHIR and no crash."""
    made = bundle(patient())
    made["entry"].append(odd)
    assert len(read_bundles(write(tmp_path, "a.json", made)).subjects) == 1


@pytest.mark.parametrize(
    ("name", "content", "place", "found"),
    [
        ("a.json", "{", ":1:2", "text that is not JSON"),
        ("a.ndjson", '{}\n{"a": }\n', ":2:7", "text that is not JSON"),
        ("a.json", bundle({"resourceType": "Patient"}), ":1:1", "a Patient without id"),
        ("a.json", bundle(patient("../../x y")), ":1:1", "a Patient with the id '../../x y'"),
        ("a.json", bundle(patient(7)), ":1:1", "a Patient with the id 7"),
        ("a.json", "[" * 100_000, ":1:1", "JSON nested too deeply to read"),
        ("a.json", bundle(request("x")), "", "no patient"),
        ("a.json", {"resourceType": "Bundle"}, "", "no patient"),
        ("a.txt", "", "", "no such file in it"),
    ],
)
def test_a_mistake_is_told_with_its_place(
    tmp_path: Path, name: str, content: Any, place: str, found: str
) -> None:
    """File, line and column, what was found and what was expected."""
    with pytest.raises(ConfigError) as caught:
        read_bundles(write(tmp_path, name, content))
    text = str(caught.value)
    assert f"found {found}" in text
    assert "expected" in text
    assert (f"{name}{place}" in text) if place else (str(tmp_path) in text)


@pytest.mark.parametrize(
    "raw",
    [
        b"not gzip",
        gzip.compress(b"{}" * 1000)[:-20],
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xff\xff\xff\xff",
    ],
    ids=["no gzip", "cut off", "damaged"],
)
def test_a_damaged_archive_is_told(tmp_path: Path, raw: bytes) -> None:
    """Not a traceback."""
    (tmp_path / "a.ndjson.gz").write_bytes(raw)
    with pytest.raises(ConfigError, match=r"a\.ndjson\.gz:1:1: found an unreadable file"):
        read_bundles(tmp_path)


def test_a_folder_that_is_not_there_has_no_patient(tmp_path: Path) -> None:
    """The message names the folder and what is looked for."""
    with pytest.raises(
        ConfigError, match=r"nowhere.*found no such folder, expected a folder of FHIR R4 bundles"
    ):
        read_bundles(tmp_path / "nowhere")


@needs_data
def test_real_bundles_give_fifty_playable_patients() -> None:
    """Each with an id, a coverage of its own, and medicines with a dose; some have several."""
    found = read_bundles(BUNDLES)
    assert len(found.subjects) == 50
    assert len({each["coverage"] for each in found.subjects}) == 50
    doses = [dose for each in found.subjects for _, dose in medicines(each)]
    assert all(dose > 0 for dose in doses)
    assert any(dose != 1.0 for dose in doses)
    assert any(len(medicines(each)) > 1 for each in found.subjects)
    assert read_bundles(BUNDLES) == found
