"""One group: what it does now, how well it is coded, and what was learned of it."""

from grafana_foundation_sdk.builders import dashboard as parts

from infra.grafana.board import GROUP, board, lay, variable
from infra.grafana.panels import lines, number
from infra.grafana.queries import GROUP as OF_GROUP
from infra.grafana.queries import Query, mean_square, ratio, total

__all__ = ["group"]

GROUPS = 'label_values(oodl_readings_coded_total{job="$job"}, group)'
SURPRISE = f"max(oodl_surprise{{{OF_GROUP}}})"
VERSION = f"max(oodl_version{{{OF_GROUP}}})"
AGE = f"time() - max(oodl_last_reading_timestamp_seconds{{{OF_GROUP}}})"
ATOMS = ratio("oodl_atoms_kept_total", "oodl_readings_coded_total", where=OF_GROUP)
DENSITY = ratio("oodl_atoms_kept_total", "oodl_values_total", where=OF_GROUP)
ENERGY = ratio("oodl_reading_energy_total", "oodl_values_total", where=OF_GROUP)
ERROR = mean_square(where=OF_GROUP)
READINGS = total("oodl_readings_coded_total", where=OF_GROUP)

NUMBERS = (
    number("Surprise", "Mean of the last readings; above 1 is unusual.", "none",
           Query(SURPRISE), red_from=1),
    number("Error", "Root mean square, in channel standard deviations.", "none", Query(ERROR)),
    number("Atoms a reading", "Numbers that a reading takes.", "none", Query(ATOMS)),
    number("Readings a second", "Readings that were coded.", "none", Query(READINGS)),
    number("Version", "Number of the dictionary in use; 0: nothing learned yet.", "none",
           Query(VERSION)),
    number("Last reading", "How long ago the latest confirmed reading was.", "s",
           Query(AGE), red_from=600),
)  # fmt: skip

OVER_TIME = (
    lines("Surprise", "Above 1, in red, the group does what it seldom did.", "none",
          [Query(SURPRISE, "surprise")], red_from=1),
    lines("Error", "What codes leave, in channel standard deviations.", "none",
          [Query(ERROR, "error")]),
    lines("Atoms a reading", "More than usual: the dictionary fits less.", "none",
          [Query(ATOMS, "atoms a reading")]),
    lines("Density", "Numbers kept for each that came.", "percentunit",
          [Query(DENSITY, "density")]),
    lines("Energy", "Mean square of the values, in channel variances: usually about 1.", "none",
          [Query(ENERGY, "energy")]),
    lines("Readings a second", "Readings that were coded.", "none",
          [Query(READINGS, "readings a second")]),
    lines("Versions and jumps", "Published dictionaries, and those given up, in the last hour.",
          "none",
          [Query(f"sum(increase(oodl_{name}_total{{{OF_GROUP}}}[1h]))", legend)
           for name, legend in (("versions_published", "published"), ("jumps", "given up"))]),
    lines("Version", "Number of the dictionary in use; where it falls, the group began anew.",
          "none", [Query(VERSION, "version")]),
    lines("Last reading", "Seconds since the latest confirmed reading.", "s",
          [Query(AGE, "last reading")], red_from=600),
    lines("Learner", "Gap before its last step, and how far from orthogonal what it published is.",
          "none",
          [Query(f"max(oodl_frank_wolfe_gap{{{OF_GROUP}}})", "Frank-Wolfe gap"),
           Query(f"max(oodl_orthogonality_defect{{{OF_GROUP}}})", "orthogonality defect")]),
)  # fmt: skip


def group() -> parts.Dashboard:
    """Make the dashboard."""
    told = "One group: whether its channels move as they did."
    made = board(GROUP, "oodl: group", told, OF_GROUP)
    made.with_variable(variable("group", "Group", GROUPS))
    return lay(made, [*NUMBERS, *OVER_TIME])
