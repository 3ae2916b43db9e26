"""Our own recording of what the real server answers, so that every machine can compare with it.

    python -m tests.runtimes.toxiproxy.recording

starts the real server, sends it `CALLS` and writes each with its answer to `recording.jsonl`, beside this.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from runtimes.links.servers import find_server, start_server
from tests.runtimes.toxiproxy.calls import Answer, Call, ask

RECORDING = Path(__file__).with_name("recording.jsonl")
P = '{"name":"p","listen":"127.0.0.1:0","upstream":"127.0.0.1:9"'
Q = '{"name":"q","upstream":"u","listen":"127.0.0.1:0"'
T = "/proxies/p/toxics"
CALLS = f"""
GET /version
HEAD /version
POST /version
GET /
GET /nope
GET /proxies/
GET //proxies
GET /a/../proxies?x=%20
GET /proxies?x=1
PUT /proxies {{}}
OPTIONS /proxies
GET /metrics
POST /proxies {P}}}
POST /proxies {P}}}
GET /proxies
GET /proxies/p
GET /proxies/nobody
PATCH /proxies/nobody garbage
POST /proxies/nobody/toxics garbage
DELETE /proxies/nobody
POST /proxies
POST /proxies null
POST /proxies []
POST /proxies "text"
POST /proxies 12
POST /proxies -
POST /proxies tru
POST /proxies {{
POST /proxies {{,}}
POST /proxies {{"a":1,}}
POST /proxies {{"name":1.}}
POST /proxies {{"name":01}}
POST /proxies {{"name":"\\u12"}}
POST /proxies {{"name":"\\x"}}
POST /proxies {{'name':1}}
POST /proxies {{"name":"a"
POST /proxies {{"name":true}}
POST /proxies {{"name":{{"a":1}},"upstream":[1]}}
POST /proxies {{"name":"z"}}
POST /proxies {{"upstream":"u"}}
POST /proxies {{"name":"z","upstream":"u","enabled":"yes"}}
POST /proxies {{"name":"z","upstream":"u","listen":"127.0.0.1"}}
POST /proxies {{"name":"z","upstream":"u","listen":"127.0.0.1:99999"}}
POST /proxies {{"name":"z","upstream":"u","listen":"[::1"}}
POST /proxies {{"NAME":"z","Upstream":"u","listen":"127.0.0.1:0","enabled":null,"other":[{{}}]}} and more
PATCH /proxies/z {{"enabled":false}}
PATCH /proxies/z {{"enabled":false,"name":"renamed"}}
PATCH /proxies/z {{"upstream":""}}
PATCH /proxies/z null
PATCH /proxies/z []
PATCH /proxies/z {{"enabled":true}}
GET /proxies/z
DELETE /proxies/z
DELETE /proxies/z
POST {T}
POST {T} {{}}
POST {T} {{"type":"nope"}}
POST {T} {{"type":"LATENCY"}}
POST {T} {{"type":"latency","stream":"sideways"}}
POST {T} {{"type":"latency","stream":""}}
POST {T} {{"type":"latency","stream":null}}
POST {T} {{"type":"latency"}}
DELETE {T}/latency_downstream
POST {T} {{"type":"latency","stream":"UpStream","attributes":{{"Latency":5,"JITTER":2,"foo":1}}}}
POST {T} {{"type":"latency","name":"twice","attributes":{{"latency":1}},"attributes":{{"jitter":2}}}}
POST {T} {{"type":"latency","attributes":null,"attributes":{{"jitter":2}}}}
POST {T} {{"type":"latency","attributes":[]}}
POST {T} {{"type":"latency","attributes":{{"latency":1.5}}}}
POST {T} {{"type":"latency","attributes":{{"latency":1e3}}}}
POST {T} {{"type":"latency","attributes":{{"latency":9223372036854775808}}}}
POST {T} {{"type":"latency","name":"null","attributes":{{"latency":null}}}}
POST {T} {{"type":"latency","name":"n","attributes":{{"latency":-5,"jitter":-3}}}}
POST {T} {{"type":"latency","name":5}}
POST {T} {{"type":"bandwidth","toxicity":0.1,"attributes":{{"rate":10}}}}
POST {T} {{"type":"slow_close","toxicity":1e-7}}
POST {T} {{"type":"timeout","stream":"upstream","toxicity":7}}
POST {T} {{"type":"reset_peer","toxicity":-1}}
POST {T} {{"type":"slicer","attributes":{{"average_size":10,"size_variation":2,"delay":1}}}}
POST {T} {{"type":"limit_data","toxicity":1e40}}
POST {T} {{"type":"limit_data","toxicity":"1"}}
POST {T} {{"type":"limit_data","toxicity":16777217}}
POST {T} {{"type":"noop","name":"a/b <c> &","attributes":{{"x":1}}}}
POST {T} {{"type":"noop","name":"twice"}}
GET {T}
GET {T}/twice
GET {T}/nothing
POST {T}/twice {{"attributes":{{"latency":7}}}}
PATCH {T}/twice {{"attributes":{{"latency":8}},"attributes":{{"jitter":3}},"toxicity":0.25}}
PATCH {T}/twice null
PATCH {T}/twice {{"name":"new","type":"x","stream":"y"}}
PATCH {T}/twice {{"attributes":{{"latency":"x"}}}}
PATCH {T}/twice {{"toxicity":1e21}}
PATCH {T}/twice {{"toxicity":-0.0}}
PATCH {T}/twice []
PATCH {T}/nothing garbage
GET /proxies/p
POST /populate
POST /populate null
POST /populate {{}}
POST /populate []
POST /populate [{{}}]
POST /populate [{{"name":"q"}}]
POST /populate [{Q},"enabled":1}}]
POST /populate [{Q}}},{{"name":"r","upstream":""}}]
POST /populate [{Q}}},{{"name":"r","upstream":"u","listen":"x"}}]
GET /proxies
DELETE {T}/nothing
DELETE {T}/twice
POST /reset garbage
GET /reset
GET /proxies
POST /proxies {{"name":"a b/é","upstream":"u","listen":"127.0.0.1:0"}}
GET /proxies/a%20b%2F%C3%A9
GET /proxies/a%20b
DELETE /proxies/p body
GET /proxies
"""


def calls() -> list[Call]:
    """The calls, in order."""
    found = []
    for line in CALLS.strip().splitlines():
        method, path, *body = line.split(" ", 2)
        found.append(Call(method, path, body[0] if body else None))
    browser = {"User-Agent": "Mozilla/5.0"}
    return [*found, Call("GET", "/proxies", None, browser), Call("PUT", "/proxies", None, browser)]


def recorded() -> list[tuple[Call, Answer]]:
    """The calls with the answers that the real server gave."""
    lines = map(json.loads, RECORDING.read_text(encoding="utf-8").splitlines())
    answers = [Answer(line["status"], line["headers"], line["body"].encode()) for line in lines]
    return list(zip(calls(), answers, strict=True))


def main() -> None:
    """Record. Raises StartError when there is no real server."""
    choice = find_server()
    if choice.kind != "real":
        raise SystemExit(f"the real server is needed, found {choice}")
    with tempfile.TemporaryDirectory() as folder, RECORDING.open("w", encoding="utf-8") as out:
        server = start_server(choice, folder=Path(folder), seed=None, deadline_s=20)
        try:
            for call in calls():
                answer = ask(server.port, call)
                line = {
                    "call": f"{call.method} {call.path} {call.body or ''}".strip(),
                    "status": answer.status,
                    "headers": answer.headers,
                    "body": answer.body.decode(),
                }
                out.write(json.dumps(line, ensure_ascii=False) + "\n")
        finally:
            server.stop()


if __name__ == "__main__":
    main()
