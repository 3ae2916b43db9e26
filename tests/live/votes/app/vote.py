"""Takes votes and lays them into the queue; its host stands in the code, as in the original."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from redis import Redis, RedisError

QUEUE = Redis(host="redis", db=0, socket_timeout=2, health_check_interval=5)


class Votes(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.say(200, {"options": ["cats", "dogs"]})

    def do_POST(self) -> None:
        vote = json.loads(self.rfile.read(int(self.headers["content-length"])))
        try:
            QUEUE.rpush("votes", json.dumps(vote))
        except RedisError as error:
            self.say(503, {"error": str(error)})
            return
        self.say(201, {"voter": vote["voter_id"]})

    def say(self, status: int, what: object) -> None:
        body = json.dumps(what).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


ThreadingHTTPServer(("0.0.0.0", 80), Votes).serve_forever()
