"""The old systems that send HL7, and the gateway: messages taken in once, files at once or at night."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from simulation.modelling import CallFailed, Record, Refused, Reply, Request, Work

from .base import ReferenceNode

GATEWAY = "hl7_gateway"
MESSAGES = 5  # in a file
# What a defect of a message or a block must be answered with, and how often the message comes in it.
DEFECTS: dict[str, tuple[str, int]] = {
    **dict.fromkeys(("lf", "crlf", "bom", "local_segment", "own_delimiters"), ("AA", 1)),
    **dict.fromkeys(("no_header", "no_control", "unknown_version", "unknown_type", "for_tests"), ("AR", 1)),
    **dict.fromkeys(("no_patient", "cut", "no_time", "wrong_charset", "wrong_type"), ("AE", 1)),
    **dict.fromkeys(("no_start", "no_end"), ("AR", 1)),
    "no_carriage_return": ("AA", 1),
    **dict.fromkeys(("twice_in_one", "junk_between"), ("AA", 2)),
    "reused_control": ("AE", 1),
}
PAUSES = ("no_end", "no_carriage_return")  # what ends with the pause behind it
# Who keeps what a kind of message says, and how it is told; a result of a message is like any other.
ASKED = {"ORU": "lab", "ADT": "registry", "RDE": "prescriptions"}
SYSTEMS = {"ORU": "LIS-LAB", "ADT": "ADT1-WARD", "RDE": "PHIS-PHARM"}
WHAT: dict[str, tuple[str, dict[str, Any]]] = {
    "lab": ("report_result", {"value": "4.1", "potassium": 4.1, "status": "final"}),
    "registry": ("read", {}),
    "prescriptions": ("prescribe", {"value": "5 mg"}),
}
NAMELESS = ("no_header", "no_control")
Message = dict[str, Any]


class Hl7Sender(ReferenceNode):
    """Keeps a ledger of what it sent and how it was answered."""

    def opened(self) -> None:
        feed: dict[str, list[dict[str, Any]]] = {}
        for entry in self.site.population.data.get("hl7_feed", ()):
            feed.setdefault(entry["where"], []).append(entry)
        self._feed = feed

    @property
    def _sent(self) -> dict[tuple[str, str], dict[str, Any]]:
        rows: dict[tuple[str, str], dict[str, Any]] = self.tables.setdefault("sent", {})
        return rows

    def serve(self, request: Request, deadline: float | None) -> Work[Reply]:
        if request.what == "send_file":
            return (yield from self._night(request, deadline))
        odd = request.what == "send_odd_hl7"
        message, listed = self._message(request.body, odd)
        reused = message["defect"] == "reused_control"
        prints = ("first", "whole") if reused else ("whole",)
        yield from self.store(lambda: self._note([message["control"]], prints, "message"), deadline)
        acks: list[str] = []
        try:
            for name in prints:
                sent = {**message, "print": name}
                reply = yield from self.call(GATEWAY, "take", {"message": sent}, deadline)
                if reply.status != 200:
                    raise Refused(504)
                acks.append(reply.body["ack"])
        except (CallFailed, Refused):
            yield from self.store(lambda: self._told([message["control"]], "unanswered"), deadline)
            return Reply(504)
        ack = acks[-1]
        status = "acknowledged" if ack == "AA" else "refused"
        yield from self.store(lambda: self._told([message["control"]], status, ack), deadline)
        return Reply(200 if not listed or ack in listed else 422, {"value": ack})

    def _message(self, body: dict[str, Any], odd: bool) -> tuple[Message, tuple[str, ...]]:
        """What goes out, and what may come back."""
        entries = self._feed.get("odd" if odd else "good")
        message: Message = {"control": body["key"], "defect": "", "code": "AA", "copies": 1}
        message |= {"kind": body.get("message", "ORU^R01"), "sender": body.get("message", "ORU")[:3]}
        message["patient"] = body["patient"]
        if entries:
            entry = entries[body["number"] % len(entries)]
            listed = tuple(entry["listed"])
            if entry["first"]:
                message["defect"] = "reused_control"
            message |= {"code": listed[0] if listed and not entry["first"] else "AA", "sender": entry["name"]}
            return message, listed
        if not odd:
            return message, ("AA",)
        code, copies = DEFECTS[body["defect"]]
        message |= {"defect": body["defect"], "copies": copies}
        message["code"] = "AA" if body["defect"] == "reused_control" else code
        return message, (code,)

    def _note(self, controls: Sequence[str], prints: Sequence[str], origin: str) -> None:
        for control in controls:
            for name in prints:
                self._sent[control, name] = {"origin": origin, "status": "sent", "ack": "", "at": self.wall}

    def _told(self, controls: Sequence[str], status: str, ack: str = "") -> None:
        for (held, _), row in self._sent.items():
            if held in controls:
                row |= {"status": status, "ack": ack}

    def _night(self, request: Request, deadline: float | None) -> Work[Reply]:
        key, defect = request.body["key"], request.body["defect"]
        due = [f"{key}-{n}" for n in range(MESSAGES)]
        messages = [{"control": name, "code": "AA", "defect": "", "copies": 1} for name in due]
        for message in messages:
            message |= {"kind": "ORU^R01", "sender": "ORU", "print": "whole"}
            message["patient"] = request.body["patient"]
        if defect == "bad_message":
            messages[-1]["code"] = "AE"
            due.pop()
        wrong = defect in ("wrong_count", "cut")
        uploads = [wrong, False] if wrong or defect == "twice" else [False]
        yield from self.store(lambda: self._note(due, ["whole"], "file"), deadline)
        statuses: list[int] = []
        try:
            for fault in uploads:
                sent = {"name": key, "messages": messages, "fault": defect if fault else ""}
                reply = yield from self.call(GATEWAY, "file", sent, deadline)
                statuses.append(reply.status)
        except CallFailed:
            yield from self.store(lambda: self._told(due, "unanswered"), deadline)
            return Reply(504)
        taken = "acknowledged" if 200 <= statuses[-1] < 300 else "refused"
        yield from self.store(lambda: self._told(due, taken), deadline)
        right = all((status == 422) == fault for status, fault in zip(statuses, uploads, strict=True))
        return Reply(200 if right else 422, {"value": str(statuses[0])})

    def records(self) -> Iterator[Record]:
        for (control, name), row in self._sent.items():
            facts = {"status": row["status"], "value": row["ack"]}
            yield Record("hl7_sender", "hl7_sent", control, None, row["at"], **facts)
            yield Record("hl7_sender", "hl7_content", f"{control}:{name}", None, row["at"])
            if row["origin"] == "file" and row["status"] == "acknowledged":
                yield Record("hl7_sender", "hl7_due", control, None, row["at"])


class Hl7Gateway(ReferenceNode):
    """Acknowledges on receipt, or when a message is stored with its outcome."""

    SWITCHES = ("hl7_ack", "dead_letters", "hl7_batch")
    BY_MESSAGE = frozenset({"take"})

    def opened(self) -> None:
        self._held: list[Message] = []  # acknowledged, in memory alone
        self._underway = 0
        for ask in list(self._asks.values()):
            self._hand_on(ask)
        self.spawn(self._work_off())
        self.spawn(self._nights())

    def _rows(self, name: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.tables.setdefault(name, [])
        return rows

    @property
    def _asks(self) -> dict[str, Message]:
        """What is to be delivered, in the database."""
        rows: dict[str, Message] = self.tables.setdefault("delivery", {})
        return rows

    def serve(self, request: Request, deadline: float | None) -> Work[Reply]:
        if request.what == "file":
            return (yield from self._file(request, deadline))
        message = request.body["message"]
        if message["defect"] in PAUSES:
            yield from self.pause_for(self.constant("hl7_pause_s"))
        if self.switches["hl7_ack"] == "on_receipt":
            self._held += [message] * message["copies"]
            return Reply(200, {"ack": "AA"})
        ack = ""
        for _ in range(message["copies"]):
            ack = yield from self.store(lambda: self._keep_message(message), deadline)
        return Reply(200, {"ack": ack})

    def _keep_message(self, message: Message) -> str:
        """One message with its outcome, in one transaction; the acknowledgement."""
        known: dict[tuple[str, str], tuple[str, str]] = self.tables.setdefault("known", {})
        after_store = self.switches["hl7_ack"] == "after_store"
        nameless, code = message["defect"] in NAMELESS, message["code"]
        control = "" if nameless else message["control"]
        name, about = (message["sender"], control), {"control": control, "print": message["print"]}
        held = known.get(name) if self.switches["dedupe"] else None
        reused = held is not None and held[0] != message["print"] and code != "AR"
        if code == "AR":
            status = "rejected"
        elif held is None:
            status = "applied" if code == "AA" else "dead-lettered"
        else:
            status = "dead-lettered" if reused else "duplicate"
        row = {"id": self.site.new_id("hl7"), "sender": message["sender"], "at": self.wall, **about}
        self._rows("received").append(row)
        if status == "applied" and ASKED.get(message["kind"][:3], "") in self.links:
            self._ask(message)
        kept = self.switches["dead_letters"] or (after_store and code == "AR")
        if kept or status in ("applied", "duplicate"):
            self._rows("outcome").append({**row, "status": status})
        if code != "AR":
            known.setdefault(name, (message["print"], code))
        if reused:
            return "AE"
        return held[1] if held is not None and status == "duplicate" else code

    # what a message asks of others

    def _ask(self, message: Message) -> None:
        """Part of the statement that applies the message; what is durable outlives the process."""
        callee = ASKED[message["kind"][:3]]
        key = f"{SYSTEMS[message['kind'][:3]]}-{message['control']}"
        ask = {"callee": callee, "key": key, "patient": message["patient"], "at": self.wall}
        if callee != "registry":
            self.tables.setdefault("asked", {})[key] = ask
        if self.switches["outbox"]:
            self._asks[key] = ask
        self._hand_on(ask)

    def _hand_on(self, ask: Message) -> None:
        self._underway += 1
        self.spawn(self._deliver(ask))

    def _deliver(self, ask: Message) -> Work[None]:
        what, facts = WHAT[ask["callee"]]
        body = {"key": ask["key"], "patient": ask["patient"], **facts}
        while True:
            try:
                reply = yield from self.call(ask["callee"], what, body)
                if reply.status < 500 and reply.status != 429:
                    break
            except CallFailed:
                pass
            if not self.switches["outbox"]:
                break
            yield from self.pause_for(self.constant("hl7_again_s"))
        self._underway -= 1
        self._asks.pop(ask["key"], None)

    def _file(self, request: Request, deadline: float | None) -> Work[Reply]:
        body = request.body
        row = {"name": body["name"], "id": self.site.new_id("file"), "messages": body["messages"]}
        nightly = self.switches["hl7_batch"] == "nightly"
        row |= {"fault": body["fault"], "at": self.wall}
        row["status"] = "waiting" if nightly else "quarantined" if body["fault"] else "taken"
        if nightly:
            yield from self.store(lambda: self._rows("file").append(row), deadline)
            return Reply(202)
        if not body["fault"]:
            for message in body["messages"]:
                yield from self.store(partial(self._keep_message, message), deadline)
        yield from self.store(lambda: self._rows("file").append(row), deadline)
        if body["fault"]:
            raise Refused(422)
        return Reply(200)

    def _work_off(self) -> Work[None]:
        while True:
            yield from self.pause_for(self.constant("hl7_work_off_s"))
            while self._held:
                try:
                    yield from self.store(lambda: self._keep_message(self._held[0]))
                except CallFailed:
                    break
                self._held.pop(0)

    def _nights(self) -> Work[None]:
        """Each file whole or not at all: with one bad message nothing of it counts."""
        yield from self.pause_for(self.constant("hl7_evening_s") / self.scale)
        while True:
            for row in [row for row in self._rows("file") if row["status"] == "waiting"]:
                messages = [dict(message) for message in row["messages"]]
                if row["fault"] == "cut":
                    messages[-1]["print"] = "part"
                whole = all(message["code"] == "AA" for message in messages)
                try:
                    for message in messages if whole else ():
                        yield from self.store(partial(self._keep_message, message))
                except CallFailed:
                    break
                row["status"] = "taken" if whole else "dropped"
            yield from self.pause_for(self.constant("hl7_night_s") / self.scale)

    def backlog(self) -> dict[str, int]:
        waiting = sum(row["status"] == "waiting" for row in self._rows("file"))
        held = {"held_messages": len(self._held), "deliveries": self._underway}
        return {**held, "waiting_files": waiting}

    def records(self) -> Iterator[Record]:
        for row in self._rows("received"):
            yield Record(
                "hl7_gateway", "hl7_received", row["sender"], row["id"], row["at"], value=row["control"]
            )
        for row in self._rows("outcome"):
            facts = {"status": row["status"], "value": row["control"]}
            yield Record("hl7_gateway", "hl7_outcome", row["sender"], row["id"], row["at"], **facts)
            if row["status"] == "applied":
                told = {"status": "applied", "value": row["print"], "caller": row["sender"]}
                yield Record("hl7_gateway", "hl7_message", row["control"], row["id"], row["at"], **told)
                content = f"{row['control']}:{row['print']}"
                yield Record("hl7_gateway", "hl7_content", content, None, row["at"])
        asked: dict[str, Message] = self.tables.get("asked", {})
        for key, ask in asked.items():
            yield Record("hl7_gateway", "hl7_asked", key, key, ask["at"], status=ask["callee"])
        for row in self._rows("file"):
            facts = {"status": row["status"], "amount": float(len(row["messages"]))}
            yield Record("hl7_gateway", "hl7_file", row["name"], row["id"], row["at"], **facts)
