"""The dashboard that asks four services whenever somebody looks: one that does not answer is missed by all,
or with partial answers by its own part alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

from reference_system.common import fhir
from reference_system.common.link import CallFailed
from reference_system.common.service import Service
from reference_system.common.store import StoreUnavailable
from reference_system.services.dashboard import reading, statements
from reference_system.services.dashboard.reading import V1, V2, Result

GONE = 410


class PartMissing(Exception):
    """A part could not be had; the message says why."""


class FanOut:
    """Reads every part where it is kept, at the moment of the question."""

    def __init__(self, dashboard: Service, upgraded: Callable[[], bool]) -> None:
        """`upgraded`: whether it is the release that reads the second version of the contract."""
        self._dashboard = dashboard
        self._upgraded = upgraded

    async def parts(self, patient: str) -> dict[str, Any]:
        """Every part, or a reason in its place. Raises Refused 500 for the first that is missing, in a design
        without partial answers."""
        asked: dict[str, Awaitable[Any]] = {
            "results": self._results(patient),
            "prescriptions": self._list("prescriptions", f"/prescriptions?patient={patient}"),
            "insurance": self._list("eligibility", f"/decisions?patient={patient}"),
            "person": self._person(patient),
        }
        found = await asyncio.gather(*asked.values(), return_exceptions=True)
        parts: dict[str, Any] = {}
        for name, part in zip(asked, found, strict=True):
            if isinstance(part, PartMissing):
                if not self._dashboard.switches.partial_answers:
                    raise fhir.Refused(500, f"{name}: {part}")
                parts[name] = {"missing": str(part)}
            elif isinstance(part, BaseException):
                raise part
            else:
                parts[name] = {"age_s": 0.0, "entries": part}
        return parts

    async def all_results(self) -> list[Result]:
        """Every result as it would be shown now. Raises PartMissing."""
        return await (self._from_tables("ORDER BY r.at") if self._shared else self._from_lab(""))

    @property
    def _shared(self) -> bool:
        """Whether it lives in one database with the laboratory."""
        return self._dashboard.config.links["postgres"].database != self._dashboard.name

    async def _results(self, patient: str) -> list[dict[str, Any]]:
        if self._shared:
            found = await self._from_tables("WHERE r.patient = $1 ORDER BY r.at DESC LIMIT 50", patient)
        else:
            found = await self._from_lab(f"&patient={patient}")
        return [one.entry() for one in found]

    async def _from_tables(self, whose: str, *arguments: str) -> list[Result]:
        """The laboratory's own tables, with the columns that they had when this was written."""
        try:
            rows = await self._dashboard.store.rows(
                statements.tables_of_lab(self._upgraded(), whose), *arguments
            )
        except (StoreUnavailable, asyncpg.PostgresError) as error:
            raise PartMissing(f"the tables of lab: {type(error).__name__}: {error}") from error
        return [reading.first(dict(row)) for row in rows]

    async def _from_lab(self, whose: str) -> list[Result]:
        """By the laboratory's contract: the version of the release that it is, or with a tolerant reader
        whichever is served."""
        own, other = ("v2", "v1") if self._upgraded() else ("v1", "v2")
        tolerant = self._dashboard.switches.result_contract == "expand_contract"
        for version in (own, other) if tolerant else (own,):
            reply = await self._ask("lab", f"/results?contract={version}{whose}", GONE)
            if reply is not None:
                return [reading.read(one, (V1, V2)) for one in reply["results"]]
        raise PartMissing("lab does not serve the contract any more")

    async def _list(self, service: str, path: str) -> Any:
        reply = await self._ask(service, path)
        assert reply is not None
        return reply["prescriptions"] if service == "prescriptions" else reply["decision"]

    async def _person(self, patient: str) -> Any:
        reply = await self._ask("registry", f"/fhir/Patient/{patient}")
        assert reply is not None
        return {"id": reply["id"], "version": int(reply["meta"]["versionId"])}

    async def _ask(self, service: str, path: str, allowed: int = 0) -> dict[str, Any] | None:
        """The answer; None for the status that is `allowed`. Raises PartMissing."""
        try:
            reply = await self._dashboard.links[service].call("GET", path)
        except CallFailed as error:
            raise PartMissing(str(error)) from error
        if reply.status == allowed:
            return None
        if reply.status != 200:
            raise PartMissing(f"{service} answered {reply.status}")
        found: dict[str, Any] = reply.json()
        return found
