"""What is no fault but seldom meant: each kind, and what it means.

Closed, so that each stands at 0 from the start: a counter that comes into being with its first
count shows no rise.
"""

from types import MappingProxyType

__all__ = ["ODDITIES"]

ODDITIES = MappingProxyType(
    {
        "clock_ahead": "a reading's time was far beyond its group's, and not confirmed",
        "clock_set_back": "the clock was set back; the process ended, to be started again",
        "compiled_anew": "loops that were kept compiled were damaged, and are compiled anew",
        "delivery_failed": "an output was not confirmed; the process ended",
        "dictionary_unreadable": "a message of the dictionaries topic is none",
        "gap": "a frame was closed by a pause, before it was full",
        "group_accepted": "a group's new behaviour was taken as its own",
        "group_calmed": "a surprised group was so no more",
        "group_restarted": "a group began anew, with other channels or settings",
        "group_surprised": "a group's surprise rose above 1",
        "headers_unreadable": "a message's headers could not be read",
        "key_and_field_differ": "key and field named different groups; the key won",
        "late": "a reading's time was before its group's",
        "metrics_port_moved": "metrics are served at another port, since theirs was taken",
        "name_taken": "another process wrote under this one's name; it ended",
        "not_repartitioned": "messages wait to be repartitioned, and nobody does it",
        "offset_expired": "retention had deleted readings before they were read",
        "out_of_order": "a sensor's message came after a later one of it",
        "partitions_added": "a topic has more partitions than are read; the process ended",
        "partitions_shared": "another process of the same name reads the same partitions",
        "repartition_unseen": "whether `oodl repartition` runs cannot be seen",
        "repartitioned_twice": "a repartitioned message came twice",
        "samples_closed_early": "for lack of room a reading was closed before all sensors came",
        "second_partition": "a group was seen on a second partition",
        "snapshots_slow": "snapshots held the flow for a tenth of a minute",
        "stop_requested": "the process was asked to end",
        "unknown_channel": "a reading had a channel that its group does not have",
        "warm_start": "there were no snapshots; the flow went on from offsets and dictionaries",
    }
)
