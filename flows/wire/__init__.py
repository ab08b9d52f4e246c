"""Messages: bytes from Kafka to readings, codes and dictionaries to bytes.

Knows neither the engine nor a Kafka client.
"""

from flows.wire.codes import (
    BlockMessage,
    CodeMessage,
    Layout,
    codes_from,
    decode_codes,
    encode_codes,
    origins,
    positions,
)
from flows.wire.dead_letters import DeadLetter, dead_letter, record_size, refused
from flows.wire.dictionaries import (
    DictionaryMessage,
    decode_dictionary,
    dictionary_key,
    encode_dictionary,
    to_version,
)
from flows.wire.formats import Fields, Format, Quick
from flows.wire.messages import (
    Fault,
    Headers,
    Message,
    Reading,
    Readings,
    Reason,
    Rejected,
    Sample,
)
from flows.wire.moments import EARLIEST, LATEST, are_seconds
from flows.wire.names import LONGEST_GROUP
from flows.wire.origin import Origin, origin_headers, origin_of, original
from flows.wire.ours import WireError
from flows.wire.readings import Reader, decode

__all__ = [
    "EARLIEST",
    "LATEST",
    "LONGEST_GROUP",
    "BlockMessage",
    "CodeMessage",
    "DeadLetter",
    "DictionaryMessage",
    "Fault",
    "Fields",
    "Format",
    "Headers",
    "Layout",
    "Message",
    "Origin",
    "Quick",
    "Reader",
    "Reading",
    "Readings",
    "Reason",
    "Rejected",
    "Sample",
    "WireError",
    "are_seconds",
    "codes_from",
    "dead_letter",
    "decode",
    "decode_codes",
    "decode_dictionary",
    "dictionary_key",
    "encode_codes",
    "encode_dictionary",
    "origin_headers",
    "origin_of",
    "original",
    "origins",
    "positions",
    "record_size",
    "refused",
    "to_version",
]
