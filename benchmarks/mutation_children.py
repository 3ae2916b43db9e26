"""The children in which mutants are tried: what the tests call, and one process for each mutant."""

from __future__ import annotations

import importlib.abc
import importlib.util
import inspect
import json
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from cProfile import Profile
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from itertools import accumulate
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest

from benchmarks.mutants import Mutant

ROOT = Path(__file__).resolve().parents[1]
PLAIN = ("-q", "-p", "no:cacheprovider", "--timeout", "0")
SPARE_S = 60.0  # of CPU time, beside several times what the tests take on the code as it is
TIMES = 4
SURVIVED, KILLED = 0, 1
Called = set[tuple[str, str]]  # file and function


@dataclass(frozen=True, slots=True)
class Tests:
    """All tests of the judgement: what each calls, what it takes (CPU seconds), and which functions were
    called already when modules were loaded. `broken` names one that fails on the code as it is."""

    items: Sequence[pytest.Item]
    calls: Mapping[str, frozenset[tuple[str, str]]]
    takes_s: Mapping[str, float]
    at_loading: frozenset[tuple[str, str]]
    broken: str

    def of(self, mutant: Mutant) -> list[pytest.Item]:
        """The tests that call its function. Where it is in none, or was called when modules were loaded, a
        test may need what it gave without any call: all of the modules that call anything of its file. The
        file's own tests come first, then those of the modules that take least."""
        if self.in_place(mutant):
            found = [i for i in self.items if (mutant.file, mutant.function) in self.calls[i.nodeid]]
        else:
            meet = {
                i.path for i in self.items if any(file == mutant.file for file, _ in self.calls[i.nodeid])
            }
            found = [item for item in self.items if item.path in meet]
        cost: dict[Path, float] = {}
        for item in found:
            cost[item.path] = cost.get(item.path, 0.0) + self.takes_s[item.nodeid]
        own = f"test_{Path(mutant.file).stem}"
        return sorted(
            found, key=lambda i: (i.path.stem != own, cost[i.path], str(i.path), self.takes_s[i.nodeid])
        )

    def within(self, items: Sequence[pytest.Item], most_s: float) -> list[pytest.Item]:
        """The first of them that take so many seconds of CPU time together, one at least."""
        spent = accumulate(self.takes_s[item.nodeid] for item in items)
        return [item for item, so_far in zip(items, spent, strict=True) if so_far <= most_s] or list(
            items[:1]
        )

    def in_place(self, mutant: Mutant) -> bool:
        """Whether exchanging the code of one function is enough."""
        return bool(mutant.function) and (mutant.file, mutant.function) not in self.at_loading


class Profiled:
    """Which functions of our files are called while it is entered, in this thread."""

    def __init__(self, files: frozenset[str]) -> None:
        self._files = files
        self._profile = Profile(subcalls=False, builtins=False)

    def __enter__(self) -> Profiled:
        self._profile.enable()
        return self

    def __exit__(self, *_: object) -> None:
        self._profile.disable()

    def called(self) -> Called:
        """Methods by their qualified names; what is defined in a function counts as that function."""
        codes = (entry.code for entry in self._profile.getstats())
        return {
            (str(Path(code.co_filename).relative_to(ROOT)), code.co_qualname.partition(".<locals>")[0])
            for code in codes
            if isinstance(code, CodeType) and code.co_filename in self._files
        }


class _Loop:
    """In the place of pytest's own: what is to be done with the collected tests."""

    def __init__(self, loading: Profiled, work: Callable[[Sequence[pytest.Item]], None]) -> None:
        self._loading, self._work = loading, work

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self._loading.__exit__()
        self._work(session.items)
        return True


def with_tests(words: Sequence[str], files: Sequence[Path], work: Callable[[Tests], None]) -> None:
    """Collect the tests that these words of pytest choose, learn what they call of the files, and hand them
    on."""
    ours = frozenset(map(str, files))
    loading = Profiled(ours)

    def learn(items: Sequence[pytest.Item]) -> None:
        with tempfile.NamedTemporaryFile(suffix=".json") as page:
            if _forked(lambda: _learned(items, ours, Path(page.name))) != SURVIVED:
                raise RuntimeError("the tests of the code as it is ended without a word")
            said = json.loads(Path(page.name).read_text(encoding="utf-8"))
        calls = {name: frozenset(map(tuple, called)) for name, called in said["calls"].items()}
        work(Tests(items, calls, said["takes_s"], frozenset(loading.called()), said["broken"]))

    with loading:
        pytest.main([*words, *PLAIN], plugins=[_Loop(loading, learn)])


def _learned(items: Sequence[pytest.Item], files: frozenset[str], page: Path) -> int:
    calls, takes_s, broken = {}, {}, ""
    reports = _Reports.of(items)
    for item, after in zip(items, [*items[1:], None], strict=True):
        began_s = time.process_time()
        with Profiled(files) as profiled:
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
        takes_s[item.nodeid] = time.process_time() - began_s
        calls[item.nodeid] = sorted(profiled.called())
        broken = broken or reports.failed
    # What a module's fixture calls, every test of the module may depend on.
    for item in items:
        first = next(one for one in items if one.path == item.path)
        calls[item.nodeid] = sorted({*calls[item.nodeid], *calls[first.nodeid]})
    page.write_text(json.dumps({"calls": calls, "takes_s": takes_s, "broken": broken}), encoding="utf-8")
    return SURVIVED


class _Reports:
    """The first test that failed."""

    def __init__(self) -> None:
        self.failed = ""

    @classmethod
    def of(cls, items: Sequence[pytest.Item]) -> _Reports:
        reports = cls()
        plugins = items[0].config.pluginmanager
        plugins.register(reports)
        if (told := plugins.get_plugin("terminalreporter")) is not None:
            plugins.unregister(told)  # it prints past a child's own standard output
        return reports

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.failed:
            self.failed = report.nodeid


# One mutant, one process.


@dataclass(frozen=True, slots=True)
class _Running:
    mutant: Mutant
    said: Path


class Children:
    """Tries mutants, so many at once."""

    def __init__(self, tests: Tests, jobs: int, most_s: float) -> None:
        self._tests, self._jobs, self._most_s = tests, jobs, most_s
        self._running: dict[int, _Running] = {}

    def each(self, mutants: Sequence[Mutant]) -> Iterator[tuple[Mutant, bool, str]]:
        """Mutant, whether it was killed, and by which test, in the order in which they end."""
        with tempfile.TemporaryDirectory(prefix="codeblue-mutants-") as folder:
            for number, mutant in enumerate(mutants):
                items = self._tests.within(self._tests.of(mutant), self._most_s)
                if not items:
                    yield mutant, False, "no test calls it"
                    continue
                if len(self._running) >= self._jobs:
                    yield self._ended()
                self._start(mutant, items, Path(folder) / str(number))
            while self._running:
                yield self._ended()

    def _start(self, mutant: Mutant, items: Sequence[pytest.Item], said: Path) -> None:
        limit_s = SPARE_S + TIMES * sum(self._tests.takes_s[item.nodeid] for item in items)
        if self._tests.in_place(mutant):

            def work() -> int:
                _exchange(mutant)
                return _tried(items, said)
        else:

            def work() -> int:
                return _loaded_anew(mutant, [item.nodeid for item in items], said)

        child = _fork(work, limit_s)
        self._running[child] = _Running(mutant, said)

    def _ended(self) -> tuple[Mutant, bool, str]:
        child, status = os.wait()
        one = self._running.pop(child)
        by = one.said.read_text(encoding="utf-8") if one.said.exists() else ""
        if os.WIFSIGNALED(status):
            return one.mutant, True, f"ended by {signal.Signals(os.WTERMSIG(status)).name}, {by}"
        code = os.waitstatus_to_exitcode(status)
        return one.mutant, code != SURVIVED, by or ("" if code == SURVIVED else f"exit {code}")


def _fork(work: Callable[[], int], limit_s: float = 3600.0) -> int:
    child = os.fork()
    if child:
        return child
    code = KILLED
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (int(limit_s), int(limit_s) + 5))
        nowhere = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nowhere, number)
        code = work()
    finally:
        os._exit(code)


def _forked(work: Callable[[], int]) -> int:
    _, status = os.waitpid(_fork(work), 0)
    return os.waitstatus_to_exitcode(status)


def _tried(items: Sequence[pytest.Item], said: Path) -> int:
    reports = _Reports.of(items)
    for item, after in zip(items, [*items[1:], None], strict=True):
        said.write_text(item.nodeid, encoding="utf-8")
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
        if reports.failed:
            return KILLED
    said.write_text(f"of {len(items)} tests", encoding="utf-8")
    return SURVIVED


def _exchange(mutant: Mutant) -> None:
    """The function that is loaded runs the changed code from now on, whoever holds it."""
    name = _module(mutant.file)
    changed = ModuleType(name)
    changed.__file__ = str(ROOT / mutant.file)
    exec(compile(mutant.source, changed.__file__, "exec"), changed.__dict__)
    old, new = (_function(vars(module), mutant.function) for module in (sys.modules[name], changed))
    old.__code__, old.__defaults__, old.__kwdefaults__ = new.__code__, new.__defaults__, new.__kwdefaults__


def _function(names: Mapping[str, Any], path: str) -> FunctionType:
    head, _, rest = path.partition(".")
    if rest:
        return _function(vars(names[head]), rest)
    found = names[head]
    if isinstance(found, classmethod | staticmethod):
        found = found.__func__
    if isinstance(found, property):
        found = found.fget
    found = inspect.unwrap(getattr(found, "func", found))
    assert isinstance(found, FunctionType)
    return found


def _module(file: str) -> str:
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


# Where the module itself is to be loaded changed.


class Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads one module from other source than its file's."""

    def __init__(self, file: str, source: str) -> None:
        self._name, self._file, self._source = _module(file), ROOT / file, source

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The changed module, when it is asked for."""
        if name != self._name:
            return None
        packages = [str(self._file.parent)] if self._file.name == "__init__.py" else None
        found = ModuleSpec(name, self, origin=str(self._file), is_package=packages is not None)
        found.submodule_search_locations = packages
        return found

    def exec_module(self, module: ModuleType) -> None:
        """Run the changed source."""
        module.__file__ = str(self._file)
        exec(compile(self._source, str(self._file), "exec"), module.__dict__)


def _loaded_anew(mutant: Mutant, tests: Sequence[str], said: Path) -> int:
    """This process becomes one that loads everything from the start."""
    page = said.with_suffix(".json")
    content = {"file": mutant.file, "source": mutant.source, "tests": tests, "said": str(said)}
    page.write_text(json.dumps(content), encoding="utf-8")
    begin = "import sys; from benchmarks.mutation_children import main; sys.exit(main())"
    os.execv(sys.executable, [sys.executable, "-c", begin, str(page)])


class _First:
    """Says which test is running."""

    def __init__(self, said: Path) -> None:
        self._said = said

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._said.write_text(nodeid, encoding="utf-8")


def main() -> int:
    """The process of a mutant whose module is loaded anew."""
    page = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    sys.meta_path.insert(0, Changed(page["file"], page["source"]))
    code = pytest.main([*page["tests"], "-x", *PLAIN], plugins=[_First(Path(page["said"]))])
    if code == SURVIVED:
        with suppress(OSError):
            Path(page["said"]).write_text(f"of {len(page['tests'])} tests", encoding="utf-8")
    return int(code)
