"""Where links lead, and what in the texts would go past a proxy."""

from __future__ import annotations

from pathlib import Path

from discovery.wiring import Wiring, wiring_of
from execution.catalogue import read_system
from execution.places import ROOT

COMPOSE = """\
services:
  web:
    image: web
    environment: {API_URL: "http://api:8080", CACHE: "redis://kept:6379", SEARCH_URL: "http://search:9200"}
  api: {image: api, environment: {DATABASE_URL: "postgresql://me:secret@db:5433/x"}}
  cache: {image: redis, container_name: kept}
  db: {image: postgres}
  search: {image: opensearch}
"""
SYSTEM = """\
name: shop
services:
  web: {compose: web}
  api: {compose: api}
  cache: {compose: cache, port: 6379}
  db: {compose: db, port: 5432}
  search: {compose: search, port: 9200}
links:
  - {caller: web, callee: api, wired: name}
  - {caller: web, callee: cache, wired: name, protocol: tcp}
  - {caller: api, callee: db, wired: name, protocol: tcp}
  - {caller: api, callee: search, wired: name}
journeys: {look: {entry: web, request: {path: /}, writes: off}}
mixes: {visit: [{journey: look}]}
"""


def wiring(folder: Path, system: str = SYSTEM) -> Wiring:
    (folder / "compose.yaml").write_text(COMPOSE, encoding="utf-8")
    (folder / "system.yaml").write_text(system, encoding="utf-8")
    return wiring_of(read_system(folder / "system.yaml"))


def test_each_link_tells_the_text_that_leads_there(tmp_path: Path) -> None:
    """File, variable and address without its login; an alias of the callee counts, and code that no text
    tells is said."""
    web_api, web_cache, api_db, api_search = wiring(tmp_path).links
    (mention,) = web_api.found
    assert (mention.where, mention.shown) == ("compose.yaml, the variable API_URL", "http://api:8080")
    assert web_api.leads_to == "the proxy of web -> api, which is api:8080 for web alone"
    assert [mention.shown for mention in web_cache.found] == ["redis://kept:6379"]
    assert [mention.shown for mention in api_db.found] == ["postgresql://db:5433"]
    assert api_search.found == ()


def test_another_port_and_an_undeclared_callee_are_problems(tmp_path: Path) -> None:
    """Either would send traffic past the proxies."""
    assert wiring(tmp_path).problems == (
        "api -> db: api names port 5433, and the link is wired at port 5432",
        "web -> search: compose.yaml, the variable SEARCH_URL of web names http://search:9200, and "
        "web -> search is not a link of the system",
    )


def test_an_address_beside_placeholders_is_a_problem(tmp_path: Path) -> None:
    """The link is wired by a placeholder that nothing holds, and a variable names the callee itself."""
    text = SYSTEM.replace("callee: api, wired: name", "callee: api")
    found = wiring(tmp_path, text)
    assert found.links[0].problem == "web -> api: no variable or argument of web holds {api}"
    assert found.undeclared[0] == (
        "web -> api: compose.yaml, the variable API_URL of web names http://api:8080, and web -> api "
        "is wired by placeholders"
    )


def test_systems_with_placeholders_and_modules_have_no_problems() -> None:
    """The shop names its callees in variables; modules read a file that the harness writes."""
    shop = wiring_of(read_system(ROOT / "examples" / "shop" / "system.yaml"))
    assert shop.problems == ()
    assert [mention.where for mention in shop.links[0].found] == ["system.yaml, the variable ORDERS_URL"]
    assert wiring_of(read_system(ROOT / "reference_system" / "system.yaml")).problems == ()


def test_a_link_of_a_running_system_tells_its_ends_and_what_leads_there(tmp_path: Path) -> None:
    """By packet rules, or a proxy of the user's; nothing of its texts is asked for."""
    found = wiring_of(read_system(ROOT / "examples" / "shop" / "attached" / "system.yaml"))
    assert not found.problems and len(found.links) == 9
    one = found.links[0]
    assert [(each.where, each.shown) for each in one.found] == [
        ("attach.services.storefront", "127.0.0.1:18080"),
        ("attach.services.orders", "127.0.0.1:18081"),
    ]
    assert one.wired == "packet rules" and "by packet rules that meet storefront alone" in one.leads_to
    text = SYSTEM.partition("services:")[0] + "services: {web: {}, api: {}}\n"
    text += "links: [{caller: web, callee: api}]\n" + SYSTEM[SYSTEM.index("journeys") :]
    text += 'attach: {project: p, services: {web: {port: 80}, api: {at: "10.0.0.1:81"}},\n'
    text += '  toxiproxy: "127.0.0.1:8474", links: {web -> api: {proxy: mine}}}\n'
    (one,) = wiring(tmp_path, text).links
    assert one.wired == "your Toxiproxy" and one.leads_to == "the proxy mine already, which gets the faults"
