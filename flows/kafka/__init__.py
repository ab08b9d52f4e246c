"""Kafka as the pipeline needs it: one consumer and one producer a process, no engine.

What the broker says is kept as a value (a partition's queue, an expired offset, a refused output,
the state of the connection); only what the process cannot go on with is raised.
"""

from flows.kafka.cluster import Cluster, admit, describe
from flows.kafka.connection import BrokerError, Configured, Connection, Health, client_options
from flows.kafka.consumer import OffsetExpired, PartitionQueue, SharedConsumer
from flows.kafka.dispatch import DeliveryError, FencedError, Limits, Output, Refused, Together
from flows.kafka.embedded import EmbeddedBroker
from flows.kafka.producer import ConfirmedProducer
from flows.kafka.rights import AccessError, Right
from flows.kafka.stopping import StopFlag
from flows.kafka.transaction import Transactional
from flows.kafka.transactional import TransactionalProducer
from flows.kafka.whole import Newest, committed, extents, unread, whole_topic

__all__ = [
    "AccessError",
    "BrokerError",
    "Cluster",
    "Configured",
    "ConfirmedProducer",
    "Connection",
    "DeliveryError",
    "EmbeddedBroker",
    "FencedError",
    "Health",
    "Limits",
    "Newest",
    "OffsetExpired",
    "Output",
    "PartitionQueue",
    "Refused",
    "Right",
    "SharedConsumer",
    "StopFlag",
    "Together",
    "Transactional",
    "TransactionalProducer",
    "admit",
    "client_options",
    "committed",
    "describe",
    "extents",
    "unread",
    "whole_topic",
]
