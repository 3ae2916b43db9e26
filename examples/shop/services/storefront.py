"""Storefront: what the shop's website talks to. It keeps nothing itself."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI, HTTPException
from fastapi.responses import JSONResponse
from pydantic import BaseModel

ORDERS_URL = os.environ["ORDERS_URL"]
STOCK_URL = os.environ["STOCK_URL"]
TIMEOUT_S = float(os.environ.get("STOREFRONT_TIMEOUT_S") or "4")


class Checkout(BaseModel):
    """One basket; the website makes the order's number up."""

    order: str
    sku: str
    quantity: int = 1
    amount: float


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One client for all calls."""
    async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
        app.state.client = client
        yield


app = FastAPI(title="Storefront", lifespan=lifespan)


async def forward(method: str, url: str, **body: Any) -> JSONResponse:
    """The answer of an inner service, or what the website is told when there is none."""
    try:
        answer = await app.state.client.request(method, url, **body)
    except httpx.TimeoutException:
        raise HTTPException(504, "the shop is slow at the moment") from None
    except httpx.TransportError:
        raise HTTPException(502, "the shop cannot be reached at the moment") from None
    return JSONResponse(answer.json(), answer.status_code)


@app.get("/healthz")
async def health() -> dict[str, str]:
    """A sign of life."""
    return {"status": "ok"}


@app.post("/checkout")
async def checkout(basket: Checkout) -> JSONResponse:
    """Order and pay."""
    order = {"id": basket.order, **basket.model_dump(exclude={"order"})}
    return await forward("POST", f"{ORDERS_URL}/orders", json=order)


@app.get("/orders/{number}")
async def order(number: str) -> JSONResponse:
    """How far an order is."""
    return await forward("GET", f"{ORDERS_URL}/orders/{number}")


@app.get("/products/{sku}")
async def product(sku: str) -> JSONResponse:
    """What the shop has of an article."""
    return await forward("GET", f"{STOCK_URL}/stock/{sku}")
