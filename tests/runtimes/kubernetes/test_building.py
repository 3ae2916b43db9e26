"""What is made on a cluster and in which order, and that all of it goes again; on objects in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from experiment.errors import StartError, UsageError
from runtimes.containers.layout import INSTANCE
from runtimes.kubernetes import building, sweeping
from runtimes.kubernetes.building import Place, bring_up
from runtimes.kubernetes.client import ClusterGone, ClusterMissing
from runtimes.kubernetes.sweeping import remove
from runtimes.leftovers import Journal, sweep_one
from tests.standin.systems import pair, settings

SERVICE = {"kind": "Service", "metadata": {"name": "billing", "labels": {}}}


class Objects:
    """What is on the cluster, by kind and name, and what was asked in order."""

    def __init__(self, *there: Mapping[str, Any]) -> None:
        self.there = {(one["kind"], one["metadata"]["name"]): one for one in there}
        self.asked: list[str] = []
        self.stuck = False
        self.context = "near"

    def create(self, one: Mapping[str, Any]) -> None:
        self.asked.append(f"create {one['kind']}")
        self.there[one["kind"], one["metadata"]["name"]] = one

    def apply(self, one: Mapping[str, Any]) -> Mapping[str, Any]:
        self.asked.append(f"apply {one['kind']}")
        kept = {**one, "spec": {**one.get("spec", {}), "clusterIP": f"10.1.0.{len(self.there)}"}}
        self.there[one["kind"], one["metadata"]["name"]] = kept
        return kept

    def get(self, kind: str, name: str) -> Mapping[str, Any]:
        if (kind, name) not in self.there:
            raise ClusterMissing(f"no {kind} {name}")
        return self.there[kind, name]

    def all(self, kind: str, _namespace: str, labels: Mapping[str, str] | None = None) -> list[Any]:
        wanted = (labels or {}).items()
        return [
            one
            for (found, _), one in self.there.items()
            if found == kind and wanted <= (one["metadata"].get("labels") or {}).items()
        ]

    def delete(self, kind: str, name: str, _namespace: str = "", *, within_s: int | None = None) -> None:
        self.asked.append(f"delete {kind} {name}")
        if not self.stuck:
            del self.there[kind, name]

    def close(self) -> None:
        self.asked.append("close")


class Stopped(Exception):
    """The pods are looked at: everything has been sent."""


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Journal]:
    def stop(*_: object) -> None:
        raise Stopped

    monkeypatch.setattr(building, "PodWatch", stop)
    one = Journal(tmp_path, "kubernetes")
    yield one
    one.close(remove=True)


def raised(objects: Objects, journal: Journal, place: Place) -> None:
    system = pair(stores=True)
    with pytest.raises(Stopped):
        bring_up(objects, system, journal, settings(system), place)  # type: ignore[arg-type]


def test_services_come_first_since_their_addresses_are_in_what_the_others_read(journal: Journal) -> None:
    """A system needs no domain name system: links and proxies are given addresses."""
    objects = Objects()
    raised(objects, journal, Place("near"))
    kinds = list(dict.fromkeys(objects.asked))
    assert kinds[:3] == ["create Namespace", "apply Service", "apply Secret"]
    assert set(kinds[3:]) == {"apply Deployment", "apply StatefulSet"}
    proxies = objects.there["Secret", "toxiproxy-settings"]["stringData"]["proxies.json"]
    assert f'"upstream": "{objects.there["Service", "back"]["spec"]["clusterIP"]}:8080"' in proxies
    read = objects.there["Secret", "front-settings"]["stringData"]["config.json"]
    assert objects.there["Service", "front--back"]["spec"]["clusterIP"] in read


def test_what_is_made_is_journaled_before_it_is_made(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A harness that dies in the very first call leaves a journal that names the namespace."""
    objects = Objects()
    seen: list[str] = []
    lines = journal.folder / "journal.jsonl"
    monkeypatch.setattr(objects, "create", lambda _: seen.append(lines.read_text()))
    raised(objects, journal, Place("near"))
    assert '"event": "cluster", "context": "near", "namespace": "codeblue-' in seen[0]


def test_a_name_that_is_there_is_never_taken_over(journal: Journal) -> None:
    """Applying to it would change somebody's object."""
    objects = Objects({"kind": "Secret", "metadata": {"name": "toxiproxy-settings"}})
    system = pair(stores=True)
    with pytest.raises(UsageError, match="found Secret toxiproxy-settings in the namespace ward"):
        bring_up(objects, system, journal, settings(system), Place("near", "ward"))  # type: ignore[arg-type]
    assert objects.asked == []


def test_a_namespace_that_is_there_is_not_made(journal: Journal) -> None:
    """Nor is anything in it touched that is not ours."""
    objects = Objects(SERVICE)
    raised(objects, journal, Place("near", "ward"))
    assert "create Namespace" not in objects.asked
    assert objects.there["Service", "billing"] == SERVICE
    assert remove(objects, {INSTANCE: journal.instance}, "ward", own=False) == []  # type: ignore[arg-type]
    assert list(objects.there.values()) == [SERVICE]


def test_a_namespace_of_its_own_goes_with_all_in_it(journal: Journal) -> None:
    """Read back: nothing that carries the label is left."""
    objects = Objects()
    raised(objects, journal, Place("near"))
    (name,) = [name for kind, name in objects.there if kind == "Namespace"]
    assert remove(objects, {INSTANCE: journal.instance}, name, own=True) == []  # type: ignore[arg-type]
    assert objects.there == {}


def test_a_namespace_of_somebody_else_is_never_deleted() -> None:
    """One of that name without the label of the run was made by somebody else meanwhile."""
    other = {"kind": "Namespace", "metadata": {"name": "codeblue-1", "labels": {INSTANCE: "kubernetes-2"}}}
    objects = Objects(other)
    assert remove(objects, {INSTANCE: "kubernetes-1"}, "codeblue-1", own=True) == []  # type: ignore[arg-type]
    assert objects.there and objects.asked == []


def test_what_does_not_go_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the deadline, one sentence each."""
    monkeypatch.setattr(sweeping, "GONE_WITHIN_S", 0.0)
    labels = {INSTANCE: "kubernetes-1"}
    objects = Objects({"kind": "Pod", "metadata": {"name": "a-1", "labels": labels}})
    objects.stuck = True
    left = remove(objects, {INSTANCE: "kubernetes-1"}, "ward", own=False)  # type: ignore[arg-type]
    assert left == ["Pod a-1 of ward cannot be removed"]


def test_the_guard_of_a_dead_owner_removes_what_its_journal_names(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the context that is written there; the journal goes once all is gone."""
    objects = Objects()
    asked: list[str] = []

    def cluster(context: str) -> Objects:
        asked.append(context)
        return objects

    raised(objects, journal, Place("near"))
    monkeypatch.setattr(sweeping, "Cluster", cluster)
    swept = sweep_one(journal.folder, certain=True)
    assert asked == ["near"] and objects.there == {} and not swept.failed
    assert any("removed what it made in the namespace codeblue-" in line for line in swept.done)
    assert not journal.folder.exists()


def test_a_cluster_that_is_away_keeps_the_journal(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next command tries again."""

    def cluster(_: str) -> Objects:
        raise ClusterGone("no answer")

    raised(Objects(), journal, Place("near"))
    monkeypatch.setattr(sweeping, "Cluster", cluster)
    swept = sweep_one(journal.folder, certain=True)
    assert len(swept.failed) == 1 and "could not be removed: no answer" in swept.failed[0]
    assert (journal.folder / "journal.jsonl").exists()


def test_a_service_without_an_address_is_refused(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Callers could not be led to it."""
    objects = Objects()
    monkeypatch.setattr(objects, "apply", lambda one: {**one, "spec": {"clusterIP": "None"}})
    system = pair()
    with pytest.raises(StartError, match="got no address of the cluster"):
        bring_up(objects, system, journal, settings(system), Place("near"))  # type: ignore[arg-type]
