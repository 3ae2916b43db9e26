"""Applications as their own compose files start them, with nothing changed in their code or configuration."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiment.errors import ExitCode
from runtimes.containers.engine_images import Images
from runtimes.containers.recipes import name_of
from tests.live.test_shop import WITHIN_S, play
from tests.standin.containers import require_engine

HERE = Path(__file__).resolve().parent
BY_NAME = "examples/shop/by_name"
CONTAINERS = ("--runtime", "containers")


@pytest.fixture(scope="module", autouse=True)
def official() -> Iterator[None]:
    """The official images that the compose files name; ours stand in for those that the engine has not."""
    require_engine()
    images, made = Images(), []
    for name, stand_in in (("postgres:18-bookworm", "postgres"), ("nats:2.15.1-alpine", "bus")):
        if images.find(name) is not None:
            continue
        made.append(name)
        if stand_in == "bus":
            facts = images.find(name_of("bus"))
            assert facts is not None
            images.tag(facts.id, name)
        else:
            with _context() as context:
                images.build(context, name, {}, "", offline=True, say=lambda _: None)
    yield
    for name in made:
        images.discard(name)
    images.close()


def _context() -> io.BytesIO:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(HERE / "official" / "postgres.Dockerfile", "Dockerfile")
        tar.add(HERE / "official" / "serve", "serve")
    archive.seek(0)
    return archive


@pytest.mark.docker
@pytest.mark.timeout(2 * WITHIN_S)
def test_the_shop_of_its_own_compose_file_charges_twice_as_it_is_and_not_when_fixed(tmp_path: Path) -> None:
    """The same verdicts as where the harness gives the addresses."""
    words = ("--system", BY_NAME, *CONTAINERS)
    code, checks = play(tmp_path / "as_it_is", "charge_response_lost", "as_it_is", *words)
    assert (code, checks["no_duplicate_charge"]) == (ExitCode.SAFETY_VETO, "fail")
    code, checks = play(tmp_path / "fixed", "charge_response_lost", "fixed", *words)
    assert (code, checks["no_duplicate_charge"]) == (ExitCode.PASS, "pass")


@pytest.mark.docker
@pytest.mark.timeout(2 * WITHIN_S)
def test_an_application_that_others_wrote_is_wired_and_judged(tmp_path: Path) -> None:
    """Votes go over Redis and a worker to PostgreSQL, whose table is made by a job that ends; hosts stand in
    its code: where the queue is slow all are counted, and when the worker's connection breaks, those are
    lost that it had taken."""
    words = ("--system", str(HERE / "votes"), *CONTAINERS)
    code, checks = play(tmp_path / "slow", "slow_redis", "as_it_is", *words)
    assert (code, checks["votes_count"]) == (ExitCode.PASS, "pass")
    code, checks = play(tmp_path / "reset", "database_reset", "as_it_is", *words)
    assert checks["votes_count"] == "fail"
    assert code in (ExitCode.FAIL, ExitCode.SAFETY_VETO)
