"""The card processor, as the shop sees it from outside: it charges cards and keeps a ledger.

A charge with an `Idempotency-Key` is made once, however often it is asked for. Without one, every request is
a charge.
"""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any

from fastapi import FastAPI, Header
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy import DateTime, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

TAKES_S = float(os.environ.get("CHARGE_TAKES_S", "0.01"))
LIMIT = 10_000.0  # what no card pays

engine = create_async_engine(os.environ["DATABASE_URL"], pool_size=20, pool_pre_ping=True, pool_timeout=2)
sessions = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    """The tables of this service."""


class Charge(Base):
    """One entry of the ledger."""

    __tablename__ = "ledger"
    id: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str | None] = mapped_column(unique=True)
    reference: Mapped[str]
    amount: Mapped[float]
    state: Mapped[str] = mapped_column(default="captured")
    booked_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class NewCharge(BaseModel):
    """`reference` is the merchant's own number for it."""

    reference: str
    amount: float


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """The ledger's table."""
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield
    await engine.dispose()


app = FastAPI(title="Payments", lifespan=lifespan)


@app.get("/healthz")
async def health() -> dict[str, str]:
    """A sign of life."""
    return {"status": "ok"}


@app.post("/charges")
async def charge(new: NewCharge, idempotency_key: Annotated[str | None, Header()] = None) -> JSONResponse:
    """Take the money."""
    if new.amount > LIMIT:
        return JSONResponse({"error": "card_declined"}, 402)
    await asyncio.sleep(TAKES_S)
    async with sessions() as session:
        entry = insert(Charge).values(id=str(uuid.uuid4()), key=idempotency_key, **new.model_dump())
        entry = entry.values(state="captured").on_conflict_do_nothing(index_elements=[Charge.key])
        made = (await session.execute(entry.returning(Charge.id))).scalar()
        await session.commit()
        if made is None:
            made = await session.scalar(select(Charge.id).where(Charge.key == idempotency_key))
    return JSONResponse({"id": made, "state": "captured"}, 201)


@app.get("/ledger")
async def ledger() -> dict[str, Any]:
    """Everything that was booked, oldest first."""
    async with sessions() as session:
        entries = await session.scalars(select(Charge).order_by(Charge.booked_at))
        shown = [
            {
                "id": entry.id,
                "reference": entry.reference,
                "amount": entry.amount,
                "state": entry.state,
                "booked_at": entry.booked_at.isoformat(),
            }
            for entry in entries
        ]
    return {"entries": shown}
