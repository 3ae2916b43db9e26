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
from reference_system.workload.bundles import read_bundles
from reference_system.workload.population import generate

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


def test_each_patient_of_a_bundle_has_what_names_that_patient(tmp_path: Path) -> None:
    """By id, by an address and by the urn:uuid of an entry; what names nobody among several is left out."""

    def of(subject: str, text: str) -> dict[str, Any]:
        return request(text) | {"subject": {"reference": subject}}

    def cover(name: str, beneficiary: str, status: str) -> dict[str, Any]:
        whose = {"beneficiary": {"reference": beneficiary}}
        return {"resourceType": "Coverage", "id": name, "status": status, **whose}

    made = bundle(
        *(patient("p-1"), patient("p-2"), patient("p-3")),
        *(cover("c-2", "urn:uuid:22", "cancelled"), cover("c-1", "Patient/p-1", "active")),
        *(of("urn:uuid:22", "Beta 2 MG"), of("https://x.example/fhir/Patient/p-1/_history/4", "Alpha 1 MG")),
        *(of("Patient/p-1", "Gamma 3 MG"), request("Nobody 9 MG"), of("Patient/p-9", "Stranger 9 MG")),
    )
    made["entry"][1]["fullUrl"] = "urn:uuid:22"
    people = read_bundles(write(tmp_path, "a.json", made))
    one, two, three = people.subjects
    assert [each["coverage"] for each in people.subjects] == ["c-1", "c-2", "cov-p-3"]
    assert [each["status"] for each in resources(people, "coverages")] == ["active", "cancelled", "active"]
    assert medicines(one) == [("Alpha 1 MG", 1.0), ("Gamma 3 MG", 3.0)]
    assert medicines(two) == [("Beta 2 MG", 2.0)]
    assert len(medicines(three)) == 1 and "9 MG" not in str(people.subjects)


def test_a_medicine_may_be_a_resource_of_its_own(tmp_path: Path) -> None:
    """Beside the request, or inside it; its text, or what its code is displayed as."""
    drug = {"resourceType": "Medication", "id": "m-1", "code": {"coding": [{"display": "Delta 4 MG"}]}}
    inner = {"resourceType": "Medication", "id": "in", "code": {"text": "Inner 6 MG"}}
    asked = [
        {
            "resourceType": "MedicationRequest",
            "medicationReference": {"reference": name},
            "contained": [inner],
        }
        for name in ("Medication/m-1", "#in", "Medication/none")
    ]
    (only,) = read_bundles(write(tmp_path, "a.json", bundle(patient(), drug, *asked))).subjects
    assert medicines(only) == [("Delta 4 MG", 4.0), ("Inner 6 MG", 6.0)]


def test_null_is_nothing(tmp_path: Path) -> None:
    """A status, an id, a reference, a text or a list that is null is as if it were not there."""
    cover = {"resourceType": "Coverage", "id": None, "status": None, "beneficiary": None}
    odd = {
        "resourceType": "MedicationRequest",
        "medicationCodeableConcept": [],
        "subject": {"reference": None},
    }
    people = read_bundles(write(tmp_path, "a.json", bundle(patient(), cover, request(None), odd)))
    assert people.subjects[0]["coverage"] == "cov-p-1"
    assert resources(people, "coverages")[0]["status"] == "active"
    assert "None" not in str(people.data)


def test_a_bulk_export_is_joined_over_its_files(tmp_path: Path) -> None:
    """One resource a line, a kind a file, as FHIR Bulk Data writes it."""
    names = ("p-1", "p-2")
    write(tmp_path, "Patient.ndjson", "\n".join(json.dumps(patient(name)) for name in names))
    covers = [
        {"resourceType": "Coverage", "id": f"c-{name}", "beneficiary": {"reference": f"Patient/{name}"}}
        for name in names
    ]
    write(tmp_path, "Coverage.ndjson", "\n".join(map(json.dumps, covers)))
    asked = request("Beta 2 MG") | {"subject": {"reference": "Patient/p-2"}}
    (tmp_path / "MedicationRequest.ndjson.gz").write_bytes(gzip.compress(json.dumps(asked).encode()))
    write(tmp_path, "Encounter.ndjson", json.dumps({"resourceType": "Encounter", "id": "e"}))
    people = read_bundles(tmp_path)
    assert [each["coverage"] for each in people.subjects] == ["c-p-1", "c-p-2"]
    assert medicines(people.subjects[1]) == [("Beta 2 MG", 2.0)]


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
    monkeypatch.setattr("reference_system.workload.bundles.LARGEST", 10_000)
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
        ("a.ndjson", "\n" + json.dumps(patient("a b")), ":2:1", "a Patient with the id 'a b'"),
        (
            "a.json",
            bundle(patient(), {"resourceType": "Coverage", "id": 3}),
            ":1:1",
            "a Coverage with the id 3",
        ),
        (
            "a.json",
            bundle(patient(), {"resourceType": "Coverage", "status": 3}),
            "",
            "a Coverage with the status 3",
        ),
        ("a.json", '{"resourceType": "Patient", "id": "a", "note": "\\ud83d"}', ":1:1", "the escape \\ud83d"),
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
