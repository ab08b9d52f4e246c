"""What each reason of a dead letter means, and what helps."""

from typing import NamedTuple

from flows.wire import Reason

__all__ = ["REMEDIES", "Remedy"]


class Remedy(NamedTuple):
    """What was expected in the place of a letter's message, and what to do."""

    expected: str
    remedy: str


REMEDIES: dict[Reason, Remedy] = {
    "json": Remedy(
        'a JSON object such as {"ts": 1764000000.25, "values": [0.1, null, 3.2]}',
        "mend the producer; what was cut short or is in another format cannot be sent again",
    ),
    "encoding": Remedy(
        "UTF-8 in the value and in the key",
        "let the producer write UTF-8; these bytes cannot be sent again as they are",
    ),
    "schema": Remedy(
        "`values`: a list of numbers or null, or an object of them by channel, with at least one",
        "mend the producer: no booleans, no text, no bare numbers, no empty values",
    ),
    "length": Remedy(
        "as many values as the group's readings have had, at most channels.max_frame, and a "
        "dictionary of them that fits kafka.max_message_bytes",
        "name the channels in the messages, or raise the limit that the detail names, restart and "
        "send again; 100 lists of one other length in a row start the group anew by themselves",
    ),
    "channel": Remedy(
        "at least one of the group's channels, named if the group's readings are",
        "correct the names; channels.grow takes new ones up, then send again",
    ),
    "group": Remedy(
        "a name of 1 to 249 characters in the key, or in the field `group`",
        "set the key in the producer",
    ),
    "size": Remedy(
        "key and value of kafka.max_message_bytes together",
        "raise kafka.max_message_bytes, and max.message.bytes of the topics to it (`oodl topics` "
        "tells which), restart and send again: the whole message is fetched from where it came "
        "while the topic still has it",
    ),
    "time": Remedy(
        "`ts` in seconds, in milliseconds from 1e11 on, or in ISO 8601; years 1 to 9999",
        "mend the producer's `ts`, or leave it out: then the message's own time counts",
    ),
    "late": Remedy(
        "a reading that is not later than the settings allow",
        "raise that bound, restart and send again",
    ),
    "groups-full": Remedy(
        "at most groups.max groups a partition",
        "see that the key is the group's name and nothing that changes; else raise groups.max or "
        "set groups.ttl, restart and send again",
    ),
    "refused": Remedy(
        "an output that the broker takes; this is the output, not the reading",
        "raise max.message.bytes of the topic that the detail names, and send again: it goes to "
        "the codes",
    ),
}
