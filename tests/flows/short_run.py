"""A short run without a broker: what was sent, and the messages that a pipeline answers."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from flows.tools.feed import Sent
from flows.tools.fleet import Source
from flows.tools.ledger import Compared, Ledger
from flows.wire import (
    CodeMessage,
    DictionaryMessage,
    decode_codes,
    decode_dictionary,
    encode_codes,
    encode_dictionary,
)
from oodl.coding import Codes
from oodl.stream import Block, GroupCoder, Published

PARTITION = 2
RATE = 50.0


@dataclass
class ShortRun:
    """Readings and messages of one group, in their order."""

    sent: list[Sent]
    dictionaries: list[DictionaryMessage]
    codes: list[CodeMessage]

    def enter(self, ledger: Ledger, now: float = 0.0) -> list[Compared]:
        """Enter everything into a ledger and settle it."""
        for reading in self.sent:
            ledger.sent(reading)
        for document in self.dictionaries:
            ledger.dictionary(document)
        for code in self.codes:
            ledger.code(code, now)
        return ledger.settle(now)


def run(
    source: Source,
    readings: int = 200,
    missing: Iterable[tuple[int, str]] = (),
    *,
    window: int = 1,
) -> ShortRun:
    """Draw readings, take out the channels that are missing in some, and code them."""
    drawn = [source.draw() for _ in range(readings)]
    for row, channel in missing:
        values = drawn[row]
        assert isinstance(values, dict)
        del values[channel]
    sent = [
        Sent(source.group, row / RATE, values, PARTITION, row) for row, values in enumerate(drawn)
    ]
    dictionaries: list[DictionaryMessage] = []
    codes: list[CodeMessage] = []
    coder = GroupCoder(window=window)
    state, outputs = coder.step(coder.start(), _block(source, sent))
    for output in outputs + coder.finish(state)[1]:
        match output:
            case Published():
                published = encode_dictionary(source.group, PARTITION, output)
                dictionaries.append(decode_dictionary(published))
            case Codes():
                for value in encode_codes(source.group, PARTITION, output, "reading"):
                    codes += decode_codes(value)
    return ShortRun(sent, dictionaries, codes)


def _block(source: Source, sent: list[Sent]) -> Block:
    channels = source.channels or tuple(map(str, range(len(sent[0].values))))
    values = [
        [one.values.get(channel, np.nan) for channel in channels]
        if isinstance(one.values, dict)
        else one.values
        for one in sent
    ]
    times = np.array([one.ts for one in sent])
    return Block(channels, True, np.array(values), times, np.arange(len(sent)))  # noqa: FBT003
