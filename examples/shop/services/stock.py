"""Stock: what the warehouse has, and what it sends out. It hears of paid orders from the queue."""

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import nats
import nats.errors
from fastapi import FastAPI, HTTPException
from sqlalchemy import DateTime, func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NATS_URL = os.environ["NATS_URL"]
ARTICLES = [f"sku-{number}" for number in range(20)]
PLENTY = 1_000_000

log = logging.getLogger("stock")
engine = create_async_engine(os.environ["DATABASE_URL"], pool_size=10, pool_pre_ping=True, pool_timeout=2)
sessions = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    """The tables of this service."""


class Article(Base):
    """How many pieces are there."""

    __tablename__ = "articles"
    sku: Mapped[str] = mapped_column(primary_key=True)
    available: Mapped[int]


class Shipment(Base):
    """One parcel. An order is sent once, however often the queue tells of it."""

    __tablename__ = "shipments"
    order_id: Mapped[str] = mapped_column(primary_key=True)
    sku: Mapped[str]
    quantity: Mapped[int]
    sent_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Tables, articles, and the listener at the queue."""
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
        rows = [{"sku": sku, "available": PLENTY} for sku in ARTICLES]
        await connection.execute(insert(Article).values(rows).on_conflict_do_nothing())
    queue = await nats.connect(NATS_URL, max_reconnect_attempts=-1, reconnect_time_wait=0.2)
    stream = queue.jetstream(timeout=2)
    await stream.add_stream(name="ORDERS", subjects=["orders.*"])
    listening = asyncio.create_task(listen(await stream.pull_subscribe("orders.paid", durable="stock")))
    yield
    listening.cancel()
    await queue.close()
    await engine.dispose()


app = FastAPI(title="Stock", lifespan=lifespan)


@app.get("/healthz")
async def health() -> dict[str, str]:
    """A sign of life."""
    return {"status": "ok"}


@app.get("/stock/{sku}")
async def stock(sku: str) -> dict[str, Any]:
    """How many pieces of an article are there."""
    async with sessions() as session:
        article = await session.get(Article, sku)
    if article is None:
        raise HTTPException(404, "no such article")
    return {"sku": sku, "available": article.available}


async def listen(paid: Any) -> None:
    """Send out what is paid. A message that could not be dealt with comes again."""
    while True:
        try:
            for message in await paid.fetch(10, timeout=1):
                await send_out(json.loads(message.data))
                await message.ack()
        except nats.errors.TimeoutError:
            continue
        except Exception:
            log.exception("paid orders could not be sent out; they are tried again")
            await asyncio.sleep(0.5)


async def send_out(news: dict[str, Any]) -> None:
    """One parcel for one order, taken from the shelf."""
    async with sessions() as session:
        parcel = insert(Shipment).values(order_id=news["order"], sku=news["sku"], quantity=news["quantity"])
        made = await session.execute(parcel.on_conflict_do_nothing().returning(Shipment.order_id))
        if made.scalar() is not None:
            taken = Article.available - news["quantity"]
            await session.execute(update(Article).where(Article.sku == news["sku"]).values(available=taken))
        await session.commit()
