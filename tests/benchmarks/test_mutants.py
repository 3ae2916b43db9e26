"""Mutants of a file, and how one is put in the place of what is loaded."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks import mutation_children
from benchmarks.mutants import Mutant, mutant_at, places_in

SOURCE = '''
LIMIT = 3

def small(number, limit=LIMIT):
    """A text is left alone."""
    return number < limit

class Box:
    @property
    def full(self):
        return small(self.size) and self.size > 0

    @staticmethod
    def twice(number):
        def doubled():
            return number * 2
        return doubled()

def small_too(number): return number < 1
def small_too(number): return number < 2
'''


def test_every_place_of_a_file_gives_one_mutant_that_says_where_it_lies() -> None:
    """In the outermost function or method; in none at the top, and where two share a name."""
    found = [mutant_at("box.py", SOURCE, place) for place in places_in(SOURCE)]
    assert {mutant.function for mutant in found} == {"", "small", "Box.full", "Box.twice"}
    assert len({mutant.source for mutant in found}) == len(found)
    (limit,) = [mutant for mutant in found if mutant.was == "3"]
    assert (limit.function, limit.now) == ("", "4")
    assert all("A text is left alone." in mutant.source for mutant in found)


def test_nothing_in_the_place_of_nothing_is_no_mutant() -> None:
    """Neither is it in the place of False: that it becomes True is one already."""
    source = "def f(x):\n    if x:\n        return None\n    return False\n"
    found = {(m.was, m.now) for m in (mutant_at("f.py", source, place) for place in places_in(source))}
    assert found == {("if x: return None", "if not x: return None"), ("False", "True")}


def test_what_loading_needed_is_tried_by_all_tests_of_the_modules_that_meet_the_file() -> None:
    """A function inside is tried by the tests that call it; a table made of it is read without a call."""

    @dataclass(frozen=True)
    class Item:
        path: Path
        nodeid: str

    items = [Item(Path(f"test_{name[0]}.py"), name) for name in ("a1", "a2", "b1", "c1")]
    calls = {"a1": {("box.py", "small")}, "a2": set(), "b1": {("box.py", "Box.full")}, "c1": set()}
    tests = mutation_children.Tests(
        items,  # type: ignore[arg-type]  # a path and a name are all that is asked of a test
        {name: frozenset(called) for name, called in calls.items()},
        dict.fromkeys(calls, 1.0),
        frozenset({("box.py", "table")}),
        "",
    )

    def chosen(function: str) -> list[str]:
        return [item.nodeid for item in tests.of(Mutant("box.py", function, 1, "", "", ""))]

    assert chosen("small") == ["a1"]
    assert chosen("") == chosen("table") == ["b1", "a1", "a2"]
    assert chosen("unknown") == []
    assert [item.nodeid for item in tests.within(tests.items, 2.5)] == ["a1", "a2"]
    assert [item.nodeid for item in tests.within(tests.items, 0.5)] == ["a1"]


@pytest.mark.parametrize(
    ("was", "call", "before", "after"),
    [
        ("number < limit", "small(3)", False, True),
        ("small(self.size) and self.size > 0", "Box.full.fget(Box)", False, True),
        ("number * 2", "Box.twice(4)", 8, 2.0),
    ],
)
def test_a_function_runs_the_changed_code_whoever_holds_it(
    was: str, call: str, before: object, after: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Properties, static methods and what is defined inside: the loaded function itself is another one."""
    box = ModuleType("box")
    exec(SOURCE, box.__dict__)
    box.Box.size = 9
    monkeypatch.setitem(sys.modules, "box", box)
    monkeypatch.setattr(mutation_children, "ROOT", tmp_path)
    mutants = [mutant_at("box.py", SOURCE, place) for place in places_in(SOURCE)]
    mutant = next(mutant for mutant in mutants if mutant.was == was)
    held = eval(call.partition("(")[0], dict(box.__dict__))
    assert eval(call, dict(box.__dict__)) == before
    mutation_children._exchange(mutant)
    assert eval(call, dict(box.__dict__)) == after
    assert eval(call.partition("(")[0], dict(box.__dict__)) is held


def test_a_module_is_loaded_changed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What stands outside of all functions takes effect when the module is loaded."""
    monkeypatch.setattr(mutation_children, "ROOT", tmp_path)
    limit = next(m for m in (mutant_at("box.py", SOURCE, p) for p in places_in(SOURCE)) if m.was == "3")
    monkeypatch.setattr(sys, "meta_path", [mutation_children.Changed("box.py", limit.source), *sys.meta_path])
    monkeypatch.delitem(sys.modules, "box", raising=False)
    box = __import__("box")
    monkeypatch.setitem(sys.modules, "box", box)
    assert box.LIMIT == 4
    assert box.small(3)
