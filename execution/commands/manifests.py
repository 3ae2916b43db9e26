"""`manifests`: a system as Kubernetes objects, to be read, kept and applied."""

from __future__ import annotations

from pathlib import Path

import click

from execution.commands.completing import designs as complete_designs
from execution.commands.lazy import Pasteable
from execution.commands.option_sets import SEED, system_option
from execution.commands.parameters import OutputFolder, json_option
from execution.commands.saying import dump, say


@click.command(cls=Pasteable, epilog="Example: codeblue manifests resilient --out cluster")
@click.argument("design", default="", shell_complete=complete_designs)
@system_option
@click.option(
    "--namespace", default="codeblue", show_default=True, metavar="NAME", help="Where all of it runs."
)
@click.option(
    "--image-prefix", default="", metavar="PREFIX", help="Stands before the names of images: HOST/FOLDER."
)
@click.option("--rbac", is_flag=True, help="Write the account and the least rights that a run needs instead.")
@click.option("--out", type=OutputFolder(), help="Folder to write to. [default: standard output]")
@click.option(
    "--seed", type=SEED, default=1, show_default=True, help="Seed of the proxies' and services' draws."
)
@json_option
def manifests(
    design: str,
    system: Path | None,
    namespace: str,
    image_prefix: str,
    rbac: bool,
    out: Path | None,
    seed: int,
    as_json: bool,
) -> int:
    """DESIGN is a name, as `designs` shows it, or a file; without it the strong one. Passwords, tokens and
    certificates are made anew each time, and stand in what is written: keep it where only you can read it.
    """
    from execution.whole_files import write_whole
    from experiment.errors import ExitCode
    from experiment.yaml_source import yaml_text

    made = _rights(namespace) if rbac else _system(design, system, namespace, image_prefix, seed)
    if as_json:
        dump(made)
    elif out is None:
        say(yaml_text(one for objects in made.values() for one in objects).rstrip())
    else:
        out.mkdir(parents=True, exist_ok=True)
        for name, objects in made.items():
            write_whole(out / name, yaml_text(objects))
        say(f"{len(made)} files in {out}: kubectl apply -f {out}")
    return int(ExitCode.PASS)


def _rights(namespace: str) -> dict[str, list[dict[str, object]]]:
    from runtimes.kubernetes.rights import rights
    from runtimes.kubernetes.site import require_namespace

    require_namespace(namespace)
    return {"rbac.yaml": rights(namespace)}


def _system(
    design: str, system: Path | None, namespace: str, prefix: str, seed: int
) -> dict[str, list[dict[str, object]]]:
    from execution.catalogue import default_catalogue
    from experiment.workload import load_workload
    from runtimes.containers.stores import new_secrets
    from runtimes.kubernetes.manifests import files
    from runtimes.kubernetes.site import Site
    from runtimes.runtime import RunSettings
    from runtimes.service_files import databases

    catalogue = default_catalogue(system, [design])
    known = catalogue.system()
    chosen = catalogue.design(design or catalogue.usual_design(), known)
    run = RunSettings("manifests", seed, chosen, load_workload(known).population(None, seed))
    return files(Site(known, run, namespace, new_secrets(databases(known)), prefix=prefix))
