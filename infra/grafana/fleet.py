"""The fleet: all groups at a glance, the most unusual ones first.

What is asked of every group is what Prometheus' recording rules have of it already.
"""

from grafana_foundation_sdk.builders import dashboard as parts
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from infra.grafana.board import FLEET, board, group_link, lay
from infra.grafana.panels import columns, lines, number
from infra.grafana.queries import JOB, Query, ratio

__all__ = ["fleet"]

SILENT_SECONDS = 600  # as the alert has it
SURPRISE = f"max by (group) (oodl_surprise{{{JOB}}})"
AGE = f"time() - max by (group) (oodl_last_reading_timestamp_seconds{{{JOB}}})"
ERROR = f"max by (group) (group:oodl_reconstruction_error:rms5m{{{JOB}}})"
ATOMS = f"max by (group) (group:oodl_atoms_per_reading:ratio_rate5m{{{JOB}}})"
READINGS = f"max by (group) (group:oodl_readings_coded:rate5m{{{JOB}}})"
DENSITY = ratio("oodl_atoms_kept_total", "oodl_values_total")

NUMBERS = (
    number("Surprised groups", "Groups that now do what they seldom did.", "none",
           Query(f"count({SURPRISE} > 1) or vector(0)"), red_from=1),
    number("Silent groups", f"Groups whose last reading is {SILENT_SECONDS} s old.", "none",
           Query(f"count({AGE} > {SILENT_SECONDS}) or vector(0)"), red_from=1),
    number("Groups", "Groups that have a state.", "none",
           Query(f"sum(oodl_groups{{{JOB}}})")),
    number("Readings a second", "Readings that were coded.", "none",
           Query(f"job:oodl_readings_coded:rate5m{{{JOB}}}")),
    number("Error", "Root mean square, in channel standard deviations.", "none",
           Query(f"job:oodl_reconstruction_error:rms5m{{{JOB}}}")),
    number("Density", "Numbers kept for each that came.", "percentunit",
           Query(DENSITY)),
)  # fmt: skip

OVER_TIME = (
    lines("Most surprised", "Mean surprise of the last readings; above 1 is unusual.", "none",
          [Query(f"topk(10, {SURPRISE})", "{{group}}")], red_from=1),
    lines("Largest error", "What codes leave, in channel standard deviations.", "none",
          [Query(f"topk(10, {ERROR})", "{{group}}")]),
    lines("Most atoms a reading", "More than usual: the dictionary fits less.", "none",
          [Query(f"topk(10, {ATOMS})", "{{group}}")]),
    lines("Most readings a second", "Readings that were coded.", "none",
          [Query(f"topk(10, {READINGS})", "{{group}}")]),
)  # fmt: skip

TABLE = (
    (Query(SURPRISE, "{{group}}"), "surprise", "none", 1.0),
    (Query(ERROR, "{{group}}"), "error", "none", None),
    (Query(ATOMS, "{{group}}"), "atoms a reading", "none", None),
    (Query(READINGS, "{{group}}"), "readings a second", "none", None),
    (Query(f"max by (group) (oodl_version{{{JOB}}})", "{{group}}"), "version", "none", None),
    (Query(AGE, "{{group}}"), "last reading", "s", float(SILENT_SECONDS)),
)  # fmt: skip


def fleet() -> parts.Dashboard:
    """Make the dashboard."""
    told = "All groups: which of them do what they seldom did."
    made = board(FLEET, "oodl: fleet", told, JOB)
    charts = [chart.data_links([group_link("__field.labels.group")]) for chart in OVER_TIME]
    listed = columns("Groups", "As of now; a name leads to the group.", "surprise", TABLE)
    link = group_link("__value.raw").build()
    shown = DynamicConfigValue("links", [{"title": link.title, "url": link.url}])
    return lay(made, [*NUMBERS, *charts, listed.override_by_name("group", [shown])])
