"""`plan`: the timeline of a run, without running anything."""

from __future__ import annotations

import click

from execution.commands.completing import designs as complete_designs
from execution.commands.completing import scenarios as complete_scenarios
from execution.commands.lazy import Pasteable
from execution.commands.option_sets import live_options, seed_option
from execution.commands.parameters import json_option
from execution.commands.saying import dump, say
from execution.options import Options


@click.command(cls=Pasteable, epilog="Example: codeblue plan smoke/registry_flapping --seed 3")
@click.argument("scenario", shell_complete=complete_scenarios)
@click.option(
    "--design",
    shell_complete=complete_designs,
    help="Design of the system. [default: the system's strong or only one]",
)
@seed_option("Seed of every random choice.", default=1)
@live_options
@json_option
def plan(scenario: str, design: str | None, seed: int, as_json: bool, options: Options) -> int:
    """SCENARIO is a name, as `list` shows it, or a file. Nothing is started."""
    import msgspec

    from execution.catalogue import default_catalogue
    from execution.runs.preflight import Request, plans
    from execution.runs.run_folder import plan_values
    from experiment.errors import ExitCode
    from experiment.units import noun

    catalogue = default_catalogue(options.system, [scenario, design or ""])
    request = Request(scenario, design or catalogue.usual_design(), seed)
    (made,) = plans([request], catalogue, options)
    if as_json:
        dump(msgspec.json.decode(msgspec.json.encode(plan_values(made))))
        return int(ExitCode.PASS)
    say(f"{made.scenario.name}: {made.scenario.title}")
    asked = noun(len(made.operations), "operation")
    say(f"design {made.design.name}, seed {made.seed}, {asked}, population: {made.population.source}")
    left_out = f"; not needed: {', '.join(made.system.left_out)}" if made.system.left_out else ""
    say(f"starts {', '.join(made.system.services)}{left_out}")
    events = [(phase.start_s, f"phase {phase.name} begins") for phase in made.phases]
    for acting in made.activations:
        events += [
            (acting.end_s, f"heal {acting.id} {acting}"),
            (acting.start_s, f"inject {acting.id} {acting}"),
        ]
    for t, text in sorted(events, key=lambda event: event[0]):
        say(f"  {t:8.3f} s  {text}")
    say(f"  {made.phases[-1].end_s:8.3f} s  end at the latest")
    return int(ExitCode.PASS)
