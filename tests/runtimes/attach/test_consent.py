"""What may be touched of a running system is said outside of its file, and agreed to line by line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from experiment.attaching import Allowed, Attach, AttachedService, load_allowed
from experiment.errors import ConfigError, UnsupportedError, UsageError
from experiment.plan import Plan
from runtimes.attach.consent import Target, digest, find_target, lines_of, require_consent
from runtimes.attach.parts import Part, find_parts
from runtimes.owners import this_process
from runtimes.runtime import Address
from tests.execution.builders import Board, plan
from tests.runtimes.attach.pair import running_pair

PLACES = {"front": AttachedService("127.0.0.1:18001"), "back": AttachedService("127.0.0.1:18002")}
ALLOWED = Allowed(("127.0.0.1",), ("front", "back"), ("front -> back",), 1000.0, "allow.yaml")


def target(attach: Attach) -> Target:
    parts = {name: Part(name, Address("127.0.0.1", one.port), None) for name, one in attach.services.items()}
    return Target("0a1b2c3d", attach, parts, {})


def asked(services: dict[str, AttachedService] | None = None) -> tuple[Plan, Target]:
    """A plan with a fault on the only link, and its target with a proxy of the user's."""
    one = plan(Board())
    return one, target(Attach(services or PLACES))


def test_the_hash_of_the_whole_list_is_the_only_yes(tmp_path: Path) -> None:
    """Without it, or with another, everything is listed with its undo, and nothing is touched."""
    one, where = asked()
    lines = lines_of(where, [one], tmp_path)
    assert any("fault f1: scripted on front -> back" in line for line in lines)
    assert all("undo: " in line for line in lines)
    for wrong in ("", "000000000000"):
        with pytest.raises(UsageError) as refusal:
            require_consent([one], ALLOWED, wrong, tmp_path, where)
        assert all(line in str(refusal.value) for line in lines)
        assert f"expected --yes {digest(lines)} to touch all of this; nothing was touched" in str(
            refusal.value
        )
    require_consent([one], ALLOWED, digest(lines), tmp_path, where)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hosts": ()}, 'found no "127.0.0.1" under hosts'),
        ({"services": ("front",)}, 'found no "back" under services'),
        ({"links": ()}, 'found no "front -> back" under links'),
        ({"highest_load": 0.1}, "expected at most 0.1/s"),
    ],
)
def test_what_the_allow_file_does_not_name_is_refused_by_name(
    changes: dict[str, object], said: str, tmp_path: Path
) -> None:
    """Hosts, services, links and load, whatever the scenario says."""
    one, where = asked()
    yes = digest(lines_of(where, [one], tmp_path))
    with pytest.raises(UsageError) as refusal:
        require_consent([one], replace(ALLOWED, **changes), yes, tmp_path, where)  # type: ignore[arg-type]  # by name
    assert said in str(refusal.value)


def test_without_an_allow_file_nothing_is_touched(tmp_path: Path) -> None:
    """It is asked for before anything is listed."""
    one, where = asked()
    with pytest.raises(UsageError, match="found no --allow FILE"):
        require_consent([one], None, "", tmp_path, where)


def test_a_name_like_production_has_to_stand_there_word_by_word(tmp_path: Path) -> None:
    """A host that reads like production is no host like others, and products are not production."""
    hosts = {"front": AttachedService("db.prod.example:1"), "back": AttachedService("products.example:1")}
    one, where = asked(hosts)
    yes = digest(lines_of(where, [one], tmp_path))
    named = replace(ALLOWED, hosts=("db.prod.example", "products.example"))
    require_consent([one], named, yes, tmp_path, where)
    with pytest.raises(UsageError) as refusal:
        require_consent([one], replace(named, hosts=("products.example",)), yes, tmp_path, where)
    assert 'found "db.prod.example", which reads like production' in str(refusal.value)
    assert "products" not in str(refusal.value)


def test_an_allow_file_is_read_and_its_mistakes_are_told(tmp_path: Path) -> None:
    """Place, what was found, and the nearest name."""
    file = tmp_path / "allow.yaml"
    text = "hosts: [127.0.0.1]\nservices: [front]\nlinks: []\nhighest_load: 5/s\n"
    file.write_text(text)
    assert load_allowed(file) == Allowed(("127.0.0.1",), ("front",), (), 5.0, str(file))
    file.write_text(text.replace("links", "link"))
    with pytest.raises(ConfigError) as refusal:
        load_allowed(file)
    assert 'found the unknown key "link"' in str(refusal.value) and 'did you mean "links"' in str(
        refusal.value
    )


def test_the_parts_of_a_running_pair_are_found_by_their_sockets_and_commands(tmp_path: Path) -> None:
    """Each is its own process, and one that does not run is told by name."""
    with running_pair(tmp_path) as pair:
        attach = pair.system(tmp_path).attach
        assert attach is not None
        found = find_parts(attach)
        pids = {name: part.process.pid for name, part in found.items() if part.process is not None}
        assert pids == {"front": pair.front.pid, "back": pair.back.pid}
        assert this_process().identity.pid not in pids.values()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{at: "127.0.0.1"}', 'found at "127.0.0.1", expected a host and a port, such as 127.0.0.1:8001'),
        ('{at: "127.0.0.1:99999"}', 'found at "127.0.0.1:99999"'),
    ],
)
def test_a_place_that_cannot_be_is_a_mistake_of_the_file(text: str, said: str, tmp_path: Path) -> None:
    """And so are parts without a place, or places of nobody."""
    with running_pair(tmp_path) as pair:
        pair.system(tmp_path)
    file = tmp_path / "system.yaml"
    good = file.read_text()
    for bad, wanted in (
        (good.replace(f'{{at: "127.0.0.1:{pair.ports[1]}"}}', text), said),
        (good.replace("    back: {at", "    bakc: {at"), 'the unknown service "bakc"'),
        (good.replace("    back: {at", "    bakc: {at"), "no place of back"),
    ):
        file.write_text(bad)
        with pytest.raises(ConfigError) as refusal:
            pair.reread(file)
        assert wanted in str(refusal.value)


def test_a_system_that_attaches_nothing_is_refused() -> None:
    """Its file is named, and what it lacks."""
    with pytest.raises(UnsupportedError, match="found no `attach`"):
        find_target(plan(Board()).system)
