"""The pipeline's health: whether it keeps up, what it refuses, and what it uses."""

from grafana_foundation_sdk.builders import dashboard as parts

from infra.grafana.board import PIPELINE, board, lay
from infra.grafana.panels import lines, number, states
from infra.grafana.queries import JOB, Query, quantile, rate, ratio, total

__all__ = ["pipeline"]

LAG, LATE = f"oodl_partition_lag_readings{{{JOB}}}", f"oodl_partition_lag_seconds{{{JOB}}}"
LETTERS = ratio("oodl_dead_letters_sent_total", "oodl_readings_received_total")

NUMBERS = (
    number("Processes up", "Processes that Prometheus reaches.", "none",
           Query(f"sum(up{{{JOB}}})"), red_below=1),
    number("Lag", "Readings that wait to be read.", "none", Query(f"sum({LAG})")),
    number("Behind by", "Age of the last reading, while there are more.", "s",
           Query(f"max({LATE})"), red_from=60),
    number("Latency, 99 %", "From a message to its confirmed code.", "s",
           Query(quantile(0.99, "oodl_end_to_end_seconds")), red_from=10),
    number("Dead letters", "Of the messages that came.", "percentunit",
           Query(f"{LETTERS} or vector(0)"), red_from=0.01),
    number("Broker silent", "Seconds since the quietest broker was heard.", "s",
           Query(f"max(oodl_broker_silent_seconds{{{JOB}}})"), red_from=5),
)  # fmt: skip

QUANTILES = (0.5, 0.9, 0.99)
SNAPSHOT = ratio("oodl_snapshot_seconds_sum", "oodl_snapshot_seconds_count")

OVER_TIME = (
    lines("Messages a second", "In, coded, and out.", "none",
          [Query(total(f"oodl_{name}_total"), legend) for name, legend in (
              ("readings_received", "received"), ("samples_assembled", "put together"),
              ("messages_repartitioned", "repartitioned"),
              ("readings_coded", "coded"),
              ("codes_sent", "codes confirmed"), ("dead_letters_sent", "dead letters"))]),
    lines("Latency", "From a reading's message to its confirmed code.", "s",
          [Query(quantile(share, "oodl_end_to_end_seconds"), f"{share:.0%}")
           for share in QUANTILES]),
    lines("Lag by partition", "Readings that wait to be read.", "none",
          [Query(f"max by (partition) ({LAG})", "{{partition}}")]),
    lines("Behind by, by partition", "Age of the last reading, while there are more.", "s",
          [Query(f"max by (partition) ({LATE})", "{{partition}}")]),
    lines("Rejected a second, by reason", "Messages that are no readings.", "none",
          [Query(total("oodl_readings_rejected_total", "reason"), "{{reason}}")]),
    lines("Oddities a second", "What is no fault but seldom meant.", "none",
          [Query(total("oodl_oddities_total", "kind"), "{{kind}}")]),
    lines("Snapshots", "Seconds that one of the sink takes, and the epoch between two.", "s",
          [Query(SNAPSHOT, "mean"), Query(quantile(0.99, "oodl_snapshot_seconds"), "99%"),
           Query(f"max(oodl_epoch_seconds{{{JOB}}})", "epoch")]),
    lines("Held by snapshots", "Share of the time that the flow waits for them.", "percentunit",
          [Query(f"instance:oodl_snapshots_held:ratio_rate5m{{{JOB}}}", "{{instance}}")],
          red_from=0.1),
    lines("Error of codes", "In channel standard deviations.", "none",
          [Query(quantile(share, "oodl_reconstruction_error"), f"{share:.0%}")
           for share in QUANTILES]),
    lines("Broker silent", "Seconds since the quietest broker was heard.", "s",
          [Query(f"max by (instance) (oodl_broker_silent_seconds{{{JOB}}})", "{{instance}}")],
          red_from=5),
    lines("Groups", "That have a state.", "none",
          [Query(f"max by (instance) (oodl_groups{{{JOB}}})", "{{instance}}")]),
    lines("Groups that come and go", "Begun, and forgotten after a silence, in the last hour.",
          "none",
          [Query(f"sum(increase(oodl_groups_{name}_total{{{JOB}}}[1h]))", legend)
           for name, legend in (("begun", "begun"), ("expired", "forgotten"))]),
    lines("State of the groups", "As each was packed last.", "bytes",
          [Query(f"max by (instance) (oodl_state_bytes{{{JOB}}})", "{{instance}}")]),
    lines("Memory", "Resident memory of the process.", "bytes",
          [Query(f"max by (instance) (process_resident_memory_bytes{{{JOB}}})",
                 "{{instance}}")]),
    lines("Processor", "Cores that the process keeps busy.", "none",
          [Query(f"max by (instance) ({rate('process_cpu_seconds_total')})", "{{instance}}")]),
)  # fmt: skip

STATES = Query(f"max by (instance, state) (oodl_state{{{JOB}}} == 1)", "{{instance}} {{state}}")


def pipeline() -> parts.Dashboard:
    """Make the dashboard."""
    told = "Whether the pipeline keeps up, and what it refuses."
    made = board(PIPELINE, "oodl: pipeline", told, f'{JOB}, group=""')
    bars = states("What it does", "A bar for each state that a process was in.", STATES)
    return lay(made, [*NUMBERS, bars, *OVER_TIME])
