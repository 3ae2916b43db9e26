"""The house rules that a reader relies on, held by the code itself. Each test names every offender."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import get_type_hints

from comparison.formats import COMPARISON_FORMATS
from experiment.plain_text import Plain
from gate.formats import GATE_FORMATS
from reports.formats import RUN_FORMATS, SUITE_FORMATS
from trend.formats import TREND_FORMATS

ROOT = Path(__file__).resolve().parent.parent
# From the bottom up: a layer may import itself and what stands to its right.
LAYERS: dict[str, set[str]] = {"experiment": set()}
LAYERS |= {name: {"experiment"} for name in ("faults", "measurement", "discovery")}
LAYERS |= {
    name: {"faults", "measurement", "experiment"} for name in ("simulation", "runtimes", "load", "reports")
}
LAYERS |= {name: set(LAYERS) - {"runtimes", "load"} for name in ("gate", "comparison", "trend")}
LAYERS |= {"execution": set(LAYERS)}
LAYERS |= {name: {"execution"} for name in ("harness", "codeblue")}
# Inside execution/, from a command's words down to one run.
STAGES = ("commands", "campaigns", "runs")
# Systems: folders with a system.yaml. What a workload may know of the harness is public and stays: what
# clients, properties in Python and twin models are made of.
SYSTEMS = ("reference_system", "examples")
PUBLIC_MODULES = {
    "experiment.errors",
    "experiment.findings",
    "experiment.history",
    "experiment.regular_files",
    "experiment.scenario",
    "experiment.topology",
    "experiment.verdict",
    "experiment.workload",
    "simulation.modelling",
}
DOORS = {
    "docker": {"runtimes/docker_engine.py"},
    "toxiproxy": {"runtimes/links/adapter.py"},
    "locust": {"load/locustfile.py", "load/tasks.py"},
    "yaml": {"experiment/yaml_source.py"},
    "matplotlib": {"reports/plots.py"},
    "asyncpg": {"runtimes/sql.py"},
    "rich": {"execution/commands/terminal.py"},
    "lightkube": {"runtimes/kubernetes/client.py"},
}
MAX_FILE_LINES = 500
MIN_FILE_LINES = 40  # a shorter file needs a second user
# One file a thing, however short: its one user is the list of all of them.
REGISTRIES = ("execution/commands", "faults", "measurement/properties", "runtimes/toxiproxy/toxics")
MAX_FUNCTION_LINES = 60
OWN = "code-blue"  # the distribution of this project itself, when it is installed
FORBIDDEN_NAMES = {"utils.py", "util.py", "helpers.py", "common.py", "misc.py"}
SEEDED = {
    "random": {"Random", "SystemRandom"},
    "numpy.random": {"default_rng", "SeedSequence", "Generator", "PCG64"},
}
# Words of the reference system's domain. "payment(s)" and the like are its services: the harness has none.
DOMAIN = (
    *("patient", "dose", "charge", "invoice", "prescription", "prescribe", "encounter", "pharmacy", "payer"),
    *("payment", "eligibility", "dispense", "claim", "check_in", "checkin", "billing", "medication"),
    *("insurance", "fhir", "hospital", "clinic"),
)


@cache
def product_files() -> tuple[Path, ...]:
    """Every Python file of the product, without tests, benchmarks and generated folders."""
    files = [ROOT / "harness.py", ROOT / "codeblue.py"]
    for folder in (*LAYERS, *SYSTEMS):
        files += [p for p in (ROOT / folder).rglob("*.py") if ROOT / "reports" / "runs" not in p.parents]
    return tuple(sorted(files))


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def layer_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imports_of(path: Path) -> tuple[tuple[str, int], ...]:
    """Full names of imported modules and of what is taken from them, with their lines; those that types
    alone need as well."""
    found: list[tuple[str, int]] = []
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.append((node.module, node.lineno))
            found += [(f"{node.module}.{alias.name}", node.lineno) for alias in node.names]
    return tuple(found)


def libraries_of(path: Path) -> Iterator[tuple[str, int]]:
    """Top-level names of what a file imports, with their lines."""
    yield from {(name.split(".")[0], line): None for name, line in imports_of(path)}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def needs() -> dict[str, set[str]]:
    """Module to the modules of the product that it imports."""
    files = {module_name(path): path for path in product_files()}
    found: dict[str, set[str]] = {}
    for name, path in files.items():
        mine = {other for other, _ in imports_of(path)} & set(files)
        # `from package import module` needs the module; the package itself was loaded before.
        found[name] = {n for n in mine if not any(other.startswith(f"{n}.") for other in mine)} - {name}
    return found


def test_imports_go_downward_only() -> None:
    """A module imports its own layer and the layers below it, never one above or beside."""
    wrong = []
    for path in product_files():
        layer = layer_of(path)
        if layer in SYSTEMS:
            continue
        allowed = LAYERS[layer] | {layer}
        taken = [(name, line) for name, line in libraries_of(path) if name in {*LAYERS, *SYSTEMS}]
        wrong += [f"{relative(path)}:{line} {name}" for name, line in taken if name not in allowed]
    for path in sorted((ROOT / "execution").rglob("*.py")):
        stage = path.relative_to(ROOT).parts[1]
        above = set(STAGES[: STAGES.index(stage)]) if stage in STAGES else set(STAGES)
        if path.name == "pytest_plugin.py":
            continue
        for name, line in imports_of(path):
            if name.startswith("execution.") and name.split(".")[1] in above:
                wrong.append(f"{relative(path)}:{line} {name}")
    assert not wrong, "\n".join(wrong)


def test_a_system_knows_the_harness_by_its_workload_alone() -> None:
    """Only workload/ of a system imports the harness, and only its public modules; services and what they
    share import nothing of it."""
    wrong = []
    for path in product_files():
        if layer_of(path) not in SYSTEMS:
            continue
        allowed = PUBLIC_MODULES if "workload" in path.relative_to(ROOT).parts else set()
        for name, line in imports_of(path):
            known = any(name == public or name.startswith(f"{public}.") for public in allowed)
            if name.split(".")[0] in LAYERS and not known:
                wrong.append(f"{relative(path)}:{line} {name}")
    assert not wrong, "\n".join(wrong)


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Modules form no circle, also by imports that types alone need: a part is not handed its owner."""
    circles = [" <-> ".join(sorted(circle)) for circle in _circles(needs()) if len(circle) > 1]
    assert not circles, "\n".join(sorted(circles))


def _circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Strongly connected components (Tarjan 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in graph[node]:
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            place = stack.index(node)
            found.append(stack[place:])
            del stack[place:]

    for node in graph:
        if node not in index:
            visit(node)
    return found


def test_libraries_have_one_door() -> None:
    """Docker, Kubernetes, Toxiproxy, Locust, YAML, matplotlib and rich are each imported by one file only;
    SimPy by simulation/."""
    wrong = []
    for path in product_files():
        name = relative(path)
        if layer_of(path) in SYSTEMS:
            continue
        for library, line in libraries_of(path):
            if library in DOORS and name not in DOORS[library]:
                wrong.append(f"{name}:{line} imports {library}; its door is {DOORS[library]}")
            if library == "simpy" and layer_of(path) != "simulation":
                wrong.append(f"{name}:{line} imports simpy outside simulation/")
    assert not wrong, "\n".join(wrong)


def test_files_and_functions_fit_in_a_head() -> None:
    """Files have at most 500 lines and functions 60; a file below 40 lines has two users or more, since with
    one it is a part of that."""
    wrong = []
    users: dict[str, int] = {}
    for names in needs().values():
        for name in names:
            users[name] = users.get(name, 0) + 1
    small = set()
    for path in product_files():
        length = len(path.read_text(encoding="utf-8").splitlines())
        if length > MAX_FILE_LINES:
            wrong.append(f"{relative(path)} has {length} lines")
        one_of_many = str(path.parent.relative_to(ROOT)) in REGISTRIES
        entry = path.stem in ("__init__", "__main__", "codeblue")
        if length < MIN_FILE_LINES and not one_of_many and not entry:
            small |= {relative(path)} if users.get(module_name(path), 0) < 2 else set()
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > MAX_FUNCTION_LINES:
                    wrong.append(f"{relative(path)}:{node.lineno} {node.name} has {length} lines")
    wrong += [f"{name} has one user and is below {MIN_FILE_LINES} lines" for name in sorted(small)]
    assert not wrong, "\n".join(wrong)


def test_the_harness_knows_no_domain() -> None:
    """No word of the reference system's domain stands in a file of the harness, in code, text or comment."""
    words = re.compile(rf"(?<![a-z])(?:{'|'.join(DOMAIN)})[sd]?(?![a-z])")
    files = [path for path in product_files() if layer_of(path) in LAYERS]
    files += sorted((ROOT / "reports" / "templates").iterdir()) + sorted(
        (ROOT / "simulation").rglob("*.json")
    )
    wrong = []
    for path in files:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            apart = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", line).lower()
            if found := words.search(apart):
                wrong.append(f"{relative(path)}:{number} {found[0]}")
    assert not wrong, "\n".join(wrong)


def test_randomness_is_seeded_and_passed_down() -> None:
    """Nothing draws from the module-level generators of `random` or `numpy.random`, however imported."""
    wrong = []
    for path in product_files():
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ImportFrom) and node.module in SEEDED:
                taken = {alias.name for alias in node.names} - SEEDED[node.module]
                wrong += [f"{relative(path)}:{node.lineno} imports {name}" for name in sorted(taken)]
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner = ast.unparse(node.func.value).replace("np.random", "numpy.random")
                if owner in SEEDED and node.func.attr not in SEEDED[owner]:
                    wrong.append(f"{relative(path)}:{node.lineno} {owner}.{node.func.attr}")
    assert not wrong, "\n".join(wrong)


def test_no_name_shadows_a_package_or_is_a_drawer_for_everything() -> None:
    """No folder or file of the root bears the name of a standard or installed module; there is no utils.py
    and none of its cousins."""
    mine = {path.stem for path in ROOT.iterdir() if path.is_dir() or path.suffix == ".py"}
    mine = {name for name in mine if not name.startswith(".")} - {"tests", "benchmarks", "docs"}
    installed = {name for name, owners in packages_distributions().items() if set(owners) != {OWN}}
    taken = mine & (set(sys.stdlib_module_names) | installed)
    drawers = [relative(path) for path in product_files() if path.name in FORBIDDEN_NAMES]
    assert not [*sorted(taken), *drawers]


def test_every_test_says_what_it_holds() -> None:
    """Every test function has a docstring that is a sentence."""
    silent = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(tree_of(path)):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            sentence = (ast.get_docstring(node) or "").rstrip().endswith(".")
            if node.name.startswith("test_") and not sentence:
                silent.append(f"{relative(path)}:{node.lineno} {node.name}")
    assert not silent, "\n".join(silent)


# Who may write to a terminal, and what may be let through unchecked: lines that hold our own escapes.
SPEAKS = {"execution/commands/saying.py", "execution/commands/terminal.py", "harness.py"}
SPEAKERS = {"print", "echo", "secho", "print_exc", "print_exception", "print_stack"}
OWN_ESCAPES = {"reports/console.py", "gate/formats.py", "execution/commands/terminal.py"}
HELP_AND_VERSION = {"execution/commands/command_line.py"}  # texts of ours: click shows them


def test_one_module_writes_to_the_terminal() -> None:
    """Every other hands its text to `say` or `tell`, which let nothing act that services or files wrote."""
    wrong = []
    for path in product_files():
        name = relative(path)
        if layer_of(path) in SYSTEMS or name in SPEAKS or name.startswith("runtimes/toxiproxy/"):
            continue
        for node in ast.walk(tree_of(path)):
            called = node.func if isinstance(node, ast.Call) else None
            spoken = getattr(called, "id", getattr(called, "attr", ""))
            allowed = SPEAKERS - ({"echo"} if name in HELP_AND_VERSION else set())
            if spoken in allowed or (isinstance(node, ast.Attribute) and _is_stream(node)):
                wrong.append(f"{name}:{node.lineno}")  # type: ignore[attr-defined]  # calls and attributes
    assert not wrong, "\n".join(wrong)


def _is_stream(node: ast.Attribute) -> bool:
    """sys.stdout.write and the like; asking whether it is a terminal is no writing."""
    inner = node.value
    return (
        node.attr in ("write", "writelines", "buffer")
        and isinstance(inner, ast.Attribute)
        and inner.attr in ("stdout", "stderr")
        and getattr(inner.value, "id", "") == "sys"
    )


def test_only_lines_of_our_own_pass_the_door_unchecked() -> None:
    """`Ours` marks text with our own colours or annotations; two formats and the terminal make it."""
    made = {
        relative(path)
        for path in product_files()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Ours"
    }
    assert made == OWN_ESCAPES


def test_every_document_is_plain_before_any_format_sees_it() -> None:
    """A renderer takes a document whose texts have passed the door: its type makes sure of that."""
    formats = (RUN_FORMATS, SUITE_FORMATS, GATE_FORMATS, TREND_FORMATS, COMPARISON_FORMATS)
    for renderer in (render for one in formats for render in one.values()):
        taken = next(iter(get_type_hints(renderer).values()))
        assert issubclass(taken, Plain), f"{renderer.__module__}.{renderer.__name__} takes {taken.__name__}"
