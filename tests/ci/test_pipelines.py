"""The GitHub Action and the GitLab template, as far as they can be tried without the services."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from execution.places import ROOT
from experiment.yaml_source import read_yaml
from gate.formats import GATE_FORMATS
from tests.experiment.test_schema import plain

SUITE = Path(__file__).resolve().parent / "suites" / "one.yaml"


@pytest.fixture(scope="module")
def action() -> Any:
    return plain(read_yaml(ROOT / "action.yml"), True)


@pytest.fixture(scope="module")
def template() -> Any:
    return plain(read_yaml(ROOT / "ci" / "gitlab.yml"), True)[".resilience-gate"]


def evaluated(text: str, inputs: dict[str, str]) -> str:
    """What the service does with its expressions, for those that the action uses."""
    known = {f"inputs.{name}": value for name, value in inputs.items()}
    return re.sub(r"\$\{\{\s*(.+?)\s*\}\}", lambda found: known[found.group(1)], text)


def gate_step(action: Any) -> Any:
    (step,) = [step for step in action["runs"]["steps"] if step.get("id") == "gate"]
    return step


def run_gate_step(action: Any, tmp_path: Path, **chosen: str) -> tuple[int, str, Path]:
    """Exit code and output of the action's gate step with these inputs, in a fake environment."""
    inputs = {name: str(value.get("default", "")) for name, value in action["inputs"].items()}
    inputs |= {name.replace("_", "-"): value for name, value in chosen.items()}
    step = gate_step(action)
    env = {name: evaluated(str(value), inputs) for name, value in step["env"].items()}
    env |= {
        "GATE_PYTHON": sys.executable,
        "GITHUB_ACTIONS": "true",
        "GITHUB_ACTION_PATH": str(ROOT),
        "GITHUB_WORKSPACE": str(tmp_path),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
    }
    done = subprocess.run(
        ["bash", "-c", step["run"]], cwd="/",
        env={**os.environ, **env}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr, tmp_path / inputs["out"] / "latest"


def make_workspace(folder: Path) -> None:
    """A repository of somebody else's: its system with designs, a scenario and a suite."""
    (folder / "app").mkdir()
    shutil.copyfile(ROOT / "reference_system" / "system.yaml", folder / "app" / "system.yaml")
    for part in ("designs", "workload"):
        shutil.copytree(ROOT / "reference_system" / part, folder / "app" / part)
    (folder / "chaos").mkdir()
    shutil.copyfile(ROOT / "scenarios/smoke/charge_response_lost.yaml", folder / "chaos" / "lost reply.yaml")
    suite = folder / "chaos" / "suite.yaml"
    suite.write_text('name: mine\nentries: [{scenario: "chaos/lost reply.yaml", design: resilient}]\n')


def test_the_action_is_composite_and_uses_every_input(action: Any) -> None:
    """Each step has a shell, as composite actions need; no input is declared for nothing."""
    assert action["runs"]["using"] == "composite"
    assert all(step["shell"] == "bash" for step in action["runs"]["steps"] if "run" in step)
    text = (ROOT / "action.yml").read_text(encoding="utf-8")
    for name in action["inputs"]:
        assert f"inputs.{name} " in text, f"the input {name} is not used"
    for output in action["outputs"].values():
        assert output["value"].startswith("${{ steps.gate.outputs.")


def test_the_action_changes_nothing_of_the_callers_python(action: Any, tmp_path: Path) -> None:
    """No step sets up another Python or installs outside of an environment of its own, which is made of the
    Python that is there, whatever environment the caller is in."""
    assert not [step for step in action["runs"]["steps"] if "python" in step.get("uses", "")]
    script = (ROOT / "ci" / "install.sh").read_text(encoding="utf-8")
    installs = [line for line in script.splitlines() if "pip install" in line]
    assert installs and all('"$venv/bin/python" -m pip' in line for line in installs)
    made, called = tmp_path / "made", tmp_path / "bin"
    called.mkdir()
    (called / "python3").write_text(
        f'#!/bin/sh\n[ "$2" = venv ] && exec {sys.executable} -m venv --without-pip "$3"\n'
        f'exec {sys.executable} "$@"\n',
        encoding="utf-8",
    )
    (called / "python3").chmod(0o755)
    env = {
        "PATH": f"{called}:/usr/bin:/bin",
        "GATE_VENV": str(made),
        "PYTHONPATH": "/nowhere",
        "HOME": str(tmp_path),
    }
    done = subprocess.run(
        ["bash", str(ROOT / "ci" / "install.sh")], env=env, capture_output=True, text=True, timeout=60
    )
    assert "No module named pip" in done.stderr, "only that environment's own pip is asked"
    assert (made / "bin" / "python").exists()


def test_a_machine_without_a_fitting_python_is_told(tmp_path: Path) -> None:
    """One sentence with what to install."""
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    old.chmod(0o755)
    for name in ("bash", "dirname"):
        (tmp_path / name).symlink_to(shutil.which(name) or "")
    done = subprocess.run(
        ["bash", str(ROOT / "ci" / "install.sh")], env={"PATH": str(tmp_path)}, capture_output=True, text=True
    )
    assert done.returncode == 69 and "python3-venv" in done.stderr


def test_paths_of_the_host_are_not_used() -> None:
    """In a job with a container `github.workspace` and `github.action_path` are those of the host."""
    text = (ROOT / "action.yml").read_text(encoding="utf-8")
    assert "github.workspace" not in text and "github.action_path" not in text


def test_results_are_uploaded_whatever_the_decision(action: Any) -> None:
    """As an artefact, and beside the code where that is asked for: also after a failed gate."""
    uses = {step["uses"].partition("@")[0]: step for step in action["runs"]["steps"] if "uses" in step}
    assert set(uses) == {"actions/upload-artifact", "github/codeql-action/upload-sarif"}
    assert all(step["if"].startswith("always()") for step in uses.values())
    assert uses["github/codeql-action/upload-sarif"]["with"]["sarif_file"].endswith("/latest/gate.sarif")


def test_expressions_never_enter_a_script(action: Any) -> None:
    """Inputs reach scripts as environment variables only: text from outside is never run."""
    assert not [step["name"] for step in action["runs"]["steps"] if "${{" in step.get("run", "")]


def test_the_action_stops_an_unsafe_release(action: Any, tmp_path: Path) -> None:
    """Exit code 4, the decision among the outputs, the summary written, the scenario's line annotated."""
    code, said, latest = run_gate_step(
        action, tmp_path, candidate="no_key", runtime="simulation", suite=str(SUITE)
    )
    assert code == 4, said
    assert (tmp_path / "output").read_text().split() == ["decision=regression", "exit-code=4"]
    assert "no\\_duplicate\\_charge" in (tmp_path / "summary").read_text(encoding="utf-8")
    where = r"::error file=\S*/smoke/charge_response_lost\.yaml,line=9,title=no_duplicate_charge::"
    assert re.search(where, said), said
    assert json.loads((latest / "gate.json").read_text())["decision"] == "regression"
    assert {path.name for path in latest.iterdir()} == set(GATE_FORMATS)
    pages = re.findall(
        r'href="(\.\./[^"]*/report\.html)"', (latest / "gate.html").read_text(encoding="utf-8")
    )
    assert pages and all((latest / page).is_file() for page in pages)


def test_the_action_gates_the_repository_that_uses_it(action: Any, tmp_path: Path) -> None:
    """The project is elsewhere than the workspace: system, suite and scenario are files of the workspace, and
    annotations name them as the workspace does. The results of an earlier gate are not those of one that
    could not start."""
    make_workspace(tmp_path)
    chosen = {"candidate": "fragile", "candidate_system": "app", "runtime": "simulation"}
    code, said, latest = run_gate_step(action, tmp_path, suite="chaos/suite.yaml", **chosen)
    assert code == 4, said
    assert "::error file=chaos/lost reply.yaml,line=9,title=no_duplicate_charge::" in said
    sarif = json.loads((latest / "gate.sarif").read_text())["runs"][0]["results"][0]["locations"][0]
    assert sarif["physicalLocation"]["artifactLocation"]["uri"] == "chaos/lost%20reply.yaml"
    code, said, latest = run_gate_step(action, tmp_path, suite="chaos/suite.yaml", candidate="no_such_design")
    assert code == 64 and not latest.exists(), said
    assert (tmp_path / "output").read_text().split()[-2:] == ["decision=none", "exit-code=64"]


def test_a_gate_that_cannot_start_says_so(action: Any, tmp_path: Path) -> None:
    """A wrong design is exit code 64, and no decision."""
    code, said, _ = run_gate_step(action, tmp_path, candidate="no_such_design", runtime="simulation")
    assert code == 64, said
    assert (tmp_path / "output").read_text().split() == ["decision=none", "exit-code=64"]


def run_template(template: Any, workspace: Path, **chosen: str) -> tuple[int, str]:
    """Exit code and output of the job's commands, as GitLab's runner gives them to one shell; what installs
    packages is left out."""
    commands = [
        c for c in (*template["before_script"], *template["script"]) if not re.search("apt-get|install.sh", c)
    ]
    assert len(commands) == len(template["before_script"]) + len(template["script"]) - 2
    env = {**template["variables"], **chosen, "CI_PROJECT_DIR": str(workspace), "GATE_PYTHON": sys.executable}
    done = subprocess.run(
        ["bash", "-e", "-c", "\n".join(commands)], cwd=workspace, env={**os.environ, **env},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_the_gitlab_template_gates_the_repository_that_includes_it(template: Any, tmp_path: Path) -> None:
    """The project is cloned, and its script run on the files of the user's repository: here from a clone
    that holds the script and hands over to this checkout."""
    project, workspace = tmp_path / "project", tmp_path / "workspace"
    (project / "ci").mkdir(parents=True)
    shutil.copyfile(ROOT / "ci" / "gate.sh", project / "ci" / "gate.sh")
    here = f"import runpy, sys\nsys.path.insert(0, {str(ROOT)!r})\n"
    hands_over = f"{here}runpy.run_path({str(ROOT / 'harness.py')!r}, run_name='__main__')\n"
    (project / "harness.py").write_text(hands_over, encoding="utf-8")
    git = ["git", "-C", str(project), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for words in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *words], check=True, capture_output=True)
    workspace.mkdir()
    make_workspace(workspace)
    code, said = run_template(
        template, workspace, GATE_REPOSITORY=project.as_uri(), GATE_CANDIDATE="fragile",
        GATE_CANDIDATE_SYSTEM="app", GATE_SUITE="chaos/suite.yaml", GATE_RUNTIME="simulation",
    )  # fmt: skip
    assert code == 4, said
    report = workspace / template["artifacts"]["paths"][0] / "gate.json"
    assert json.loads(report.read_text(encoding="utf-8"))["decision"] == "regression"


def test_the_gitlab_template_gates_this_repository_too(template: Any, tmp_path: Path) -> None:
    """Without a place to clone from, the repository itself is the project."""
    out = str(tmp_path / "out")
    code, said = run_template(
        template,
        ROOT,
        GATE_CANDIDATE="no_key",
        GATE_SUITE=str(SUITE),
        GATE_RUNTIME="simulation",
        GATE_OUT=out,
    )
    assert code == 4, said


def test_the_gitlab_template_runs_the_same_script(template: Any) -> None:
    """Its variables are those that the script or it itself reads, its artifacts what the script leaves."""
    script = (ROOT / "ci" / "gate.sh").read_text(encoding="utf-8") + "".join(template["before_script"])
    assert all(name in script for name in template["variables"])
    out = template["variables"]["GATE_OUT"]
    assert template["artifacts"]["reports"]["junit"] == f"{out}/latest/junit.xml"
    assert template["artifacts"]["when"] == "always"
    assert template["allow_failure"]["exit_codes"] == [2]
