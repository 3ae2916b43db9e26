"""A Toxiproxy-compatible server: the HTTP API and all toxics of Toxiproxy 2.12 on asyncio protocols."""
