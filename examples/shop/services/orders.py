"""Orders: takes an order, has it paid, and tells the warehouse through the queue."""

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import httpx
import nats
from fastapi import FastAPI, HTTPException
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy import DateTime, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_fixed

PAYMENTS_URL = os.environ["PAYMENTS_URL"]
STOCK_URL = os.environ["STOCK_URL"]
NATS_URL = os.environ["NATS_URL"]
PAYMENTS_TIMEOUT_S = float(os.environ.get("PAYMENTS_TIMEOUT_S") or "0.5")
PAYMENTS_ATTEMPTS = int(os.environ.get("PAYMENTS_ATTEMPTS") or "3")
PAYMENTS_SEND_KEY = os.environ.get("PAYMENTS_SEND_KEY", "false").lower() == "true"
FINISH_PENDING = os.environ.get("FINISH_PENDING", "false").lower() == "true"
FINISH_AFTER_S = 2.0  # an order that nobody has finished for so long is taken up again

log = logging.getLogger("orders")
engine = create_async_engine(os.environ["DATABASE_URL"], pool_size=20, pool_pre_ping=True, pool_timeout=2)
sessions = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    """The tables of this service."""


class Order(Base):
    """`status`: new, pending (nobody knows whether it is paid), paid, declined, sold_out or failed."""

    __tablename__ = "orders"
    id: Mapped[str] = mapped_column(primary_key=True)
    sku: Mapped[str]
    quantity: Mapped[int]
    amount: Mapped[float]
    status: Mapped[str] = mapped_column(default="new")
    announced: Mapped[bool] = mapped_column(default=False)
    changed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class NewOrder(BaseModel):
    """What the storefront sends."""

    id: str
    sku: str
    quantity: int
    amount: float


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Tables, queue, one client for all calls, and who finishes what was left."""
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    queue = await nats.connect(NATS_URL, max_reconnect_attempts=-1, reconnect_time_wait=0.2)
    app.state.stream = queue.jetstream(timeout=2)
    await app.state.stream.add_stream(name="ORDERS", subjects=["orders.*"])
    async with httpx.AsyncClient(timeout=PAYMENTS_TIMEOUT_S) as client:
        app.state.client = client
        finishing = asyncio.create_task(finish_pending()) if FINISH_PENDING else None
        yield
        if finishing is not None:
            finishing.cancel()
    await queue.close()
    await engine.dispose()


app = FastAPI(title="Orders", lifespan=lifespan)


@app.get("/healthz")
async def health() -> dict[str, str]:
    """A sign of life."""
    return {"status": "ok"}


@app.get("/readyz")
async def ready() -> dict[str, str]:
    """Whether orders can be taken."""
    async with sessions() as session:
        await session.execute(select(1))
    return {"status": "ready"}


@app.post("/orders")
async def place(new: NewOrder) -> JSONResponse:
    """Take an order and have it paid. The same number again is the same order."""
    async with sessions() as session:
        made = insert(Order).values(**new.model_dump(), status="new", announced=False)
        created = await session.execute(made.on_conflict_do_nothing().returning(Order.id))
        fresh = created.scalar() is not None
        await session.commit()
    if not fresh:
        return await show(new.id)
    if not await available(new.sku, new.quantity):
        await move(new.id, "sold_out")
        return JSONResponse({"id": new.id, "status": "sold_out"}, 409)
    status = await pay(new.id, new.amount)
    await move(new.id, status)
    if status == "paid":
        await announce(new.id, new.sku, new.quantity)
    code = {"paid": 201, "pending": 202, "declined": 402}.get(status, 502)
    return JSONResponse({"id": new.id, "status": status}, code)


@app.get("/orders/{number}")
async def show(number: str) -> JSONResponse:
    """One order as it stands."""
    async with sessions() as session:
        order = await session.get(Order, number)
    if order is None:
        raise HTTPException(404, "no such order")
    return JSONResponse({"id": order.id, "status": order.status, "amount": order.amount})


async def available(sku: str, quantity: int) -> bool:
    """Whether the warehouse has enough; without its word the order is taken."""
    try:
        answer = await app.state.client.get(f"{STOCK_URL}/stock/{sku}")
        return bool(answer.json()["available"] >= quantity)
    except (httpx.HTTPError, ValueError, KeyError):
        log.warning("the warehouse does not say whether it has %s", sku)
        return True


async def pay(number: str, amount: float) -> str:
    """Charge the card. What no answer came to may have been charged all the same."""
    headers = {"Idempotency-Key": number} if PAYMENTS_SEND_KEY else {}
    try:
        async for attempt in AsyncRetrying(
            stop=stop_after_attempt(PAYMENTS_ATTEMPTS),
            wait=wait_fixed(0.05),
            retry=retry_if_exception_type(httpx.TransportError),
            reraise=True,
        ):
            with attempt:
                charge = {"reference": number, "amount": amount}
                answer = await app.state.client.post(f"{PAYMENTS_URL}/charges", json=charge, headers=headers)
                answer.raise_for_status()
    except httpx.HTTPStatusError as error:
        return "declined" if error.response.status_code == 402 else undecided()
    except httpx.TransportError as error:
        log.warning("order %s: no answer about its charge: %r", number, error)
        return undecided()
    return "paid"


def undecided() -> str:
    """The status of an order of which nobody knows whether it is paid."""
    return "pending" if FINISH_PENDING else "failed"


async def move(number: str, status: str) -> None:
    """Write an order's new status."""
    async with sessions() as session:
        changed = update(Order).where(Order.id == number).values(status=status, changed_at=func.now())
        await session.execute(changed)
        await session.commit()


async def announce(number: str, sku: str, quantity: int) -> None:
    """Tell the warehouse that an order is paid. What fails here is taken up by `finish_pending`."""
    try:
        news = json.dumps({"order": number, "sku": sku, "quantity": quantity}).encode()
        await app.state.stream.publish("orders.paid", news, headers={"Nats-Msg-Id": number})
        async with sessions() as session:
            await session.execute(update(Order).where(Order.id == number).values(announced=True))
            await session.commit()
    except Exception:
        log.exception("order %s is paid, but the warehouse was not told", number)


async def finish_pending() -> None:
    """Bring orders to their end that a crash or a silent payment provider left half done."""
    while True:
        await asyncio.sleep(0.5)
        try:
            for order in await unfinished():
                status = order.status
                if status in ("new", "pending"):
                    status = await pay(order.id, order.amount)
                    await move(order.id, status)
                if status == "paid":
                    await announce(order.id, order.sku, order.quantity)
        except Exception:
            log.exception("orders could not be finished; they are tried again")


async def unfinished() -> list[Order]:
    """Orders that nobody has touched for a while."""
    old = Order.changed_at < datetime.now(UTC) - timedelta(seconds=FINISH_AFTER_S)
    open_ = or_(Order.status.in_(("new", "pending")), (Order.status == "paid") & ~Order.announced)
    async with sessions() as session:
        return list(await session.scalars(select(Order).where(old, open_).limit(100)))
