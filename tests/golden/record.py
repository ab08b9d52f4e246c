"""Write down what this release leaves: `python -m tests.golden.record [name]`, once a format.

A file that is here stays as it is: releases to come have to read it, or refuse it with the remedy.
"""

import json
import shutil
import sys
import threading
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from flows.dataflow import assemble
from flows.events import Tally
from flows.kafka import EmbeddedBroker, StopFlag
from flows.manifest import FILE
from flows.settings import Settings, TopicSettings
from flows.state import FORMAT, pack
from flows.wire import DeadLetter, Message, Reason, Rejected, dead_letter
from oodl.block import Block
from oodl.stream import GroupCoder, GroupState
from tests.checks import formats
from tests.fault.workers import wait_until
from tests.traffic import Record, machine, read, send, versions

__all__ = [
    "FINGERPRINT", "HERE", "LETTERS", "RECOVERY", "STATE", "earlier_readings", "letters", "state",
    "text_of",
]  # fmt: skip

HERE = Path(__file__).parent
LETTERS = HERE / "letters-1.json"
FORMATS = HERE / "formats-1.json"
RECOVERY = HERE / f"recovery-{FORMAT}"
STATE = HERE / f"state-{FORMAT}.bin"
FINGERPRINT = "0123456789abcdef"
LIMIT = 4096  # bytes of a message, so that a cut one is short here


def letters() -> list[Rejected]:
    """One message for each way in which a dead letter is written."""
    whole: list[tuple[Reason, bytes | None, bytes | None, float]] = [
        ("json", b"press-7", b'{"values": [1, 2', 1764000000.25),
        ("encoding", "pressé".encode(), b"\xff\xfe", 1764000000.0),
        ("schema", None, None, -1.0),
        ("size", b"press-7", b"0123456789" * 1000, 1764000000.0),
    ]
    own = [("trace", b"7"), ("void", None), ("oodl-sent-again", b"1")]
    return [
        Rejected(
            Message("sensors.readings", 3, 40 + place, key, value, [*own], stamp), reason, "naïve"
        )
        for place, (reason, key, value, stamp) in enumerate(whole)
    ]


def text_of(letter: DeadLetter) -> dict[str, object]:
    """A letter as JSON has it: bytes as Latin-1, a long value by its hash."""
    value = letter.value
    shown = None if value is None else value.decode("latin-1")
    return {
        "key": None if letter.key is None else letter.key.decode("latin-1"),
        "value": shown if len(value or b"") < 100 else f"sha256 {sha256(value or b'').hexdigest()}",
        "headers": [
            [name, None if each is None else each.decode("latin-1")]
            for name, each in letter.headers
        ],
    }


def earlier_readings() -> list[Record]:
    """What the pipeline that left the recovery folder had read."""
    return machine(["press-0", "oven"], 100)


def state() -> GroupState:
    """A group in frames of two readings, a hundred of them learned from, and one unfinished."""
    places = np.arange(203)
    values = np.column_stack([np.sin(places / 9), np.cos(places / 5) + places % 3])
    values[::17, 1] = np.nan
    block = Block(
        ("a", "b"),
        settled=True,
        values=values,
        times=(places * 60).astype(np.float64),
        offsets=places,
    )
    coder = GroupCoder(window=2)
    return coder.step(coder.start(), block)[0]


def _record_state() -> None:
    STATE.write_bytes(pack(state(), FINGERPRINT))


def _record_recovery() -> None:
    topics = TopicSettings()
    with EmbeddedBroker(*topics.model_dump().values()) as broker, TemporaryDirectory() as made:
        folder = Path(made) / "recovery"
        settings = Settings.model_validate(
            {"kafka": {"bootstrap": broker.bootstrap}, "recovery": {"folder": folder}}
        )
        sent = send(broker.bootstrap, topics.readings, earlier_readings())
        _run(settings, len(sent))
        RECOVERY.mkdir(exist_ok=True)
        for name in (FILE, "part-0.sqlite3"):
            shutil.copy(folder / name, RECOVERY / name)
        known = versions(read(broker.bootstrap, topics.dictionaries)).items()
    latest = {
        group: name
        for (group, name), version in sorted(known, key=lambda each: each[1].number)
        if version.number
    }
    (RECOVERY / "versions.json").write_text(json.dumps(latest, indent=2) + "\n")


def _run(settings: Settings, readings: int) -> None:
    tally, stop = Tally(), StopFlag()

    def end() -> None:
        wait_until(lambda: tally.codes_sent == readings)
        stop.set()

    ending = threading.Thread(target=end)
    with assemble(settings, tally, stop) as pipeline:
        ending.start()
        pipeline.run()
        ending.join()


def _record_letters() -> None:
    written = [text_of(dead_letter(each, LIMIT)) for each in letters()]
    LETTERS.write_text(json.dumps(written, indent=2, ensure_ascii=False) + "\n")


def _record_formats() -> None:
    rows = np.array([[0.5, np.nan, -3.25], [1.5, 2.0, 1e3]])
    times = [1764000000.25, 1764000001.5]
    written = {}
    for form in formats.FORMS:
        few, whens = rows[: 1 + form.several], times[: 1 + form.several]
        written[form.name] = {
            "value": form.write(whens, few).hex(),
            "times": whens if form.timed else [5.0],
            "rows": [formats.numbers(row) for row in few],
        }
    FORMATS.write_text(json.dumps(written, indent=1) + "\n")


if __name__ == "__main__":
    recorders = {
        "formats": _record_formats,
        "letters": _record_letters,
        "recovery": _record_recovery,
        "state": _record_state,
    }
    for name in sys.argv[1:] or recorders:
        recorders[name]()
