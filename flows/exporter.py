"""Prometheus: the numbers of a `Tally`, read at scrape time by one collector.

Nothing is kept twice. A label names a group, never a sensor; the first ``metrics.groups`` groups
have one of their own, and so has any that was surprised; the rest are added up as ``__other__``.
Beside them, and from threads that are not the flow's, it is told how the flow does.
"""

import errno
import json
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, get_args
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import numpy as np
from prometheus_client import ProcessCollector, make_wsgi_app
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import ThreadingWSGIServer
from prometheus_client.registry import Collector as PrometheusCollector
from prometheus_client.registry import CollectorRegistry

from flows import events
from flows.events import OTHER, Histogram, Tally
from flows.health import READY, STATES, State, asks_for_restart, state
from flows.oddities import ODDITIES
from flows.settings import Settings
from flows.wire import Reason
from oodl import __version__
from oodl.errors import OodlError

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["Collector", "ServeError", "serve"]

# Metric by group, where it stands in the tally, and its help text.
GROUP_COUNTERS = (
    ("oodl_readings_coded", "readings_coded", "Readings that were coded."),
    ("oodl_values", "values", "Values that were present in coded readings, version 0 left out."),
    (
        "oodl_reading_energy",
        "energy",
        "Sum of squares of the readings, in channel standard deviations, version 0 left out.",
    ),
    (
        "oodl_residual_energy",
        "residual_energy",
        "Sum of squares that the codes leave, in channel standard deviations, version 0 left out.",
    ),
    ("oodl_atoms_kept", "atoms_kept", "Coefficients that were written."),
    ("oodl_versions_published", "versions_published", "Dictionaries that were published."),
    ("oodl_jumps", "jumps", "Dictionaries that were given up because they no longer fitted."),
)
GROUP_GAUGES = (
    ("oodl_surprise", "surprise", "Mean surprise of the last readings; above 1 is unusual."),
    ("oodl_version", "version", "Number of the published dictionary."),
    (
        "oodl_last_reading_timestamp_seconds",
        "last_reading",
        "Time of the latest reading that another one confirmed, in seconds since 1970.",
    ),
    (
        "oodl_frank_wolfe_gap",
        "gap",
        "Frank-Wolfe gap before the learner's last step, as a share of what the step reached.",
    ),
    (
        "oodl_orthogonality_defect",
        "defect",
        "Norm of D.T @ D - I of the last dictionary that was published.",
    ),
)
COUNTERS = (
    ("oodl_readings_received", "readings_received", "Messages that came from the readings topic."),
    ("oodl_samples_assembled", "samples_assembled", "Messages of one sensor that became readings."),
    (
        "oodl_messages_repartitioned",
        "messages_repartitioned",
        "Messages that `oodl repartition` wrote to the internal topic, confirmed.",
    ),
    ("oodl_codes_sent", "codes_sent", "Readings whose code the broker has confirmed."),
    ("oodl_dead_letters_sent", "dead_letters_sent", "Dead letters that the broker confirmed."),
    ("oodl_groups_begun", "groups_begun", "Groups that came of which nothing was known."),
    ("oodl_groups_expired", "groups_expired", "Groups that were silent for too long."),
)
PARTITION_GAUGES = (
    (
        "oodl_partition_lag_readings",
        "lag_readings",
        "Readings between the position and the end of a partition.",
    ),
    (
        "oodl_partition_lag_seconds",
        "lag_seconds",
        "Seconds between the last reading and now, while there are more.",
    ),
)
GAUGES = (
    ("oodl_broker_silent_seconds", "broker_silent", "Seconds since the quietest broker was heard."),
    ("oodl_epoch_seconds", "epoch", "Seconds between two snapshots, as in force."),
)
HISTOGRAMS = (
    (
        "oodl_reconstruction_error",
        "reconstruction_error",
        "Error of a code: root mean square, in channel standard deviations.",
    ),
    (
        "oodl_end_to_end_seconds",
        "end_to_end",
        "Seconds from a reading's message to its confirmed code.",
    ),
    ("oodl_snapshot_seconds", "snapshot", "Seconds that a snapshot of the sink took."),
)

Values = Mapping[str, float]


class ServeError(OodlError, OSError):
    """Metrics cannot be served where the settings say."""


class Collector(PrometheusCollector):
    """What Prometheus sees of a tally.

    A group that gets a label late starts at 0 there, and what it had counted stays with
    ``__other__``: neither series ever falls, and their sum is exact.

    Parameters
    ----------
    tally : Tally
        Read at every scrape; only the labels are kept there.
    settings : Settings
        ``metrics.groups`` of them bounds the labels.
    """

    def __init__(self, tally: Tally, settings: Settings) -> None:
        self.tally = tally
        self.restart_after = settings.metrics.restart_after
        self._most = settings.metrics.groups
        self._rest: set[str] = set()  # groups that the last scrape showed as one

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics; one is left out while its source is not known."""
        labels = self.tally.labels.copy()  # before the counts: a group may expire meanwhile
        counted = {name: getattr(self.tally, name).copy() for _, name, _ in GROUP_COUNTERS}
        gauged = {name: getattr(self.tally, name).copy() for _, name, _ in GROUP_GAUGES}
        self._label_groups(labels, counted, gauged["surprise"])
        left_behind = self.tally.left_behind.copy()
        for metric, name, text in GROUP_COUNTERS:
            left = {group: left_behind.get((name, group), 0) for group in labels}
            yield _counter(metric, text, "group", _added(labels, counted[name], left))
        for metric, name, text in GROUP_GAUGES:
            yield _gauge(metric, text, "group", _largest(labels, gauged[name]))
        yield from _of_process(self.tally)

    def _label_groups(
        self, labels: dict[str, str], counted: Mapping[str, Values], surprise: Values
    ) -> None:
        """Give a label to the first groups, and to any that is surprised; they keep it."""
        known = dict.fromkeys(group for values in counted.values() for group in values)
        for group in labels.keys() - known.keys():  # expired while they were given one
            labels.pop(group)
            self.tally.labels.pop(group, None)
            for name in counted:
                self.tally.left_behind.pop((name, group), None)
        for group in known:
            late = len(labels) >= self._most
            if group in labels or group == OTHER or (late and surprise.get(group, 0.0) <= 1):
                continue
            labels[group] = self.tally.labels[group] = _printable(group)
            for name, values in counted.items() if group in self._rest else ():
                self.tally.left_behind[name, group] = values.get(group, 0)
        self._rest = known.keys() - labels.keys()


def _added(labels: Mapping[str, str], values: Values, left: Values) -> Values:
    """Add counts up by label; a label's first sample is 0, else its first rise is not seen.

    Those in `left` stood with the rest when their group got its label, and stay there.
    """
    sums: dict[str, float] = dict.fromkeys(labels.values(), 0)
    for group, value in values.items():
        label, before = labels.get(group, OTHER), left.get(group, 0)
        sums[label] = sums.get(label, 0) + value - before
        if before:
            sums[OTHER] = sums.get(OTHER, 0) + before
    return sums


def _largest(labels: Mapping[str, str], values: Values) -> Values:
    largest: dict[str, float] = {}
    for group, value in values.items():
        label = labels.get(group, OTHER)
        largest[label] = max(value, largest.get(label, value))
    return largest


def serve(
    collector: Collector, address: str, port: int, *, fallback: bool = False
) -> tuple[WSGIServer, int]:
    """Serve ``/metrics``, ``/healthz`` and ``/readyz`` from threads of their own.

    Parameters
    ----------
    collector : Collector
    address : str
        Where to listen.
    port : int
        0 takes any free port.
    fallback : bool, default False
        Take a free port when this one is taken, and say so as an event.

    Returns
    -------
    server : WSGIServer
        ``shutdown()`` and ``server_close()`` end it.
    port : int
        The one in use.

    Raises
    ------
    ServeError
        If the port is taken, and no other one may be used.
    """
    try:
        server = _start(collector, address, port)
    except OSError as problem:
        if problem.errno != errno.EADDRINUSE or not fallback:
            msg = f"metrics: expected to listen at {address}:{port}, got {problem.strerror}; "
            msg += "end what listens there, or set metrics.port or metrics.address"
            raise ServeError(msg) from problem
        server = _start(collector, address, 0)
        events.metrics_port_moved(collector.tally, wanted=port, bound=server.server_port)
    return server, server.server_port


def _start(collector: Collector, address: str, port: int) -> WSGIServer:
    """Listen as the client library's own server does, which answers metrics on every path."""
    family, _, _, _, place = socket.getaddrinfo(
        address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]

    class Server(ThreadingWSGIServer):
        address_family = family

    app = _application(collector)
    server = make_server(str(place[0]), port, app, Server, handler_class=_Quiet)
    threading.Thread(target=server.serve_forever, name="exporter", daemon=True).start()
    return server


class _Quiet(WSGIRequestHandler):
    """Requests are no news."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (as it is called)
        """Say nothing."""


def _application(collector: Collector) -> "WSGIApplication":
    registry = CollectorRegistry()
    registry.register(collector)
    ProcessCollector(registry=registry)  # memory, processor time and files of this process
    metrics = make_wsgi_app(registry)
    health = {"/healthz": _alive, "/readyz": _ready}

    def answer(environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            page: Iterable[bytes] = metrics(environ, start)
            return page
        if path not in health:
            told = "expected /metrics, /healthz or /readyz"
            return _text(start, HTTPStatus.NOT_FOUND, "text/plain", told)
        now = time.monotonic()
        found = state(now, collector.tally.beats)
        status = health[path](now, found, collector.restart_after)
        return _text(start, status, "application/json", _told(now, found))

    return answer


def _alive(now: float, found: State, bound: float) -> HTTPStatus:
    restart = asks_for_restart(now, found, bound)
    return HTTPStatus.SERVICE_UNAVAILABLE if restart else HTTPStatus.OK


def _ready(_now: float, found: State, _bound: float) -> HTTPStatus:
    return HTTPStatus.OK if found.name in READY else HTTPStatus.SERVICE_UNAVAILABLE


def _told(now: float, found: State) -> str:
    seconds = now - found.since
    since = datetime.now(UTC) - timedelta(seconds=seconds)
    told = {
        "state": found.name,
        "since": since.isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        "reason": found.reason,
    }
    return json.dumps(told)


def _text(start: "StartResponse", status: HTTPStatus, kind: str, text: str) -> list[bytes]:
    body = f"{text}\n".encode()
    headers = [("Content-Type", f"{kind}; charset=utf-8"), ("Content-Length", str(len(body)))]
    start(f"{status.value} {status.phrase}", [*headers, ("Cache-Control", "no-store")])
    return [body]


def _of_process(tally: Tally) -> Iterator[Metric]:
    for metric, name, text in COUNTERS:
        yield CounterMetricFamily(metric, text, value=getattr(tally, name))
    rejected = dict.fromkeys(get_args(Reason), 0) | tally.readings_rejected
    yield _counter("oodl_readings_rejected", "Messages that are no readings.", "reason", rejected)
    odd = "What is no fault but seldom meant."
    kinds = dict.fromkeys(ODDITIES, 0) | tally.oddities.copy()
    yield _counter("oodl_oddities", odd, "kind", kinds)
    slow = "Seconds that snapshots of the groups have held the flow."
    yield CounterMetricFamily(
        "oodl_snapshots_held_seconds", slow, value=tally.beats.held_by_snapshots
    )
    for metric, name, text in PARTITION_GAUGES:
        lags = {str(partition): lag for partition, lag in getattr(tally, name).copy().items()}
        yield _gauge(metric, text, "partition", lags)
    for metric, name, text in GAUGES:
        if (value := getattr(tally, name)) is not None:
            yield GaugeMetricFamily(metric, text, value=value)
    for metric, name, text in HISTOGRAMS:
        yield _histogram(metric, text, getattr(tally, name))
    found = state(time.monotonic(), tally.beats).name
    states: Values = {name: float(name == found) for name in STATES}
    yield _gauge("oodl_state", "1 for what the flow does now, 0 for the rest.", "state", states)
    sizes = tally.state_bytes.copy()
    groups = len(sizes.keys() | tally.surprise.copy().keys())
    yield GaugeMetricFamily("oodl_groups", "Groups that have a state.", value=groups)
    held = "Bytes of all groups' states, as each was packed last."
    yield GaugeMetricFamily("oodl_state_bytes", held, value=sum(sizes.values()))
    yield InfoMetricFamily("oodl_build", "The release.", value={"version": __version__})


def _counter(metric: str, text: str, label: str, values: Values) -> Metric:
    family = CounterMetricFamily(metric, text, labels=[label])
    for name, value in values.items():
        family.add_metric([name], value)
    return family


def _gauge(metric: str, text: str, label: str, values: Values) -> Metric:
    family = GaugeMetricFamily(metric, text, labels=[label])
    for name, value in values.items():
        family.add_metric([name], value)
    return family


def _histogram(metric: str, text: str, histogram: Histogram) -> Metric:
    upto = np.cumsum(histogram.counts).tolist()
    ends = [*map(str, histogram.bounds.tolist()), "+Inf"]
    buckets = list(zip(ends, upto, strict=True))
    return HistogramMetricFamily(metric, text, buckets=buckets, sum_value=histogram.sum)


def _printable(group: str) -> str:
    r"""Spell out what Prometheus' text cannot hold.

    >>> _printable("press-7"), _printable("a\x00b")
    ('press-7', 'a\\x00b')
    """
    return group if group.isprintable() else repr(group)[1:-1]
