"""What the dashboards have in common: head, variables, alerts, links from one to another."""

from collections.abc import Iterable

from grafana_foundation_sdk.builders import dashboard as parts
from grafana_foundation_sdk.models import dashboard

from infra.grafana.panels import SOURCE, Panel

__all__ = ["FLEET", "GROUP", "PIPELINE", "board", "group_link", "lay", "variable"]

# Alerts link to these, so they stay as they are.
FLEET, GROUP, PIPELINE = "oodl-fleet", "oodl-group", "oodl-pipeline"
TAG = "oodl"
JOBS = "label_values(oodl_build_info, job)"


def board(uid: str, title: str, told: str, alerts: str) -> parts.Dashboard:
    """Start a dashboard, with the job as its first variable and links to the others.

    When `alerts`, labels of alerts, have fired shows in its charts.
    """
    others = parts.DashboardLink("Dashboards").type(dashboard.DashboardLinkType.DASHBOARDS)
    return (
        parts.Dashboard(title)
        .uid(uid).description(told).tags([TAG])
        .readonly().tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .time("now-1h", "now").refresh("10s").timezone("browser")
        .link(others.tags([TAG]).include_vars(include_vars=True).keep_time(keep_time=True))
        .with_variable(variable("job", "Job", JOBS))
        .annotation(
            parts.AnnotationQuery().name("Alerts").enable(enable=True).icon_color("red")
            .datasource(SOURCE).expr(f'ALERTS{{alertstate="firing", {alerts}}}')
        )
    )  # fmt: skip


def lay(board: parts.Dashboard, panels: Iterable[Panel]) -> parts.Dashboard:
    """Place panels in rows, as they come; each is known by its number."""
    for number, panel in enumerate(panels, start=1):
        board.with_panel(panel.id(number))
    return board


def variable(name: str, label: str, query: str) -> parts.QueryVariable:
    """Make a variable whose values are those of a label, one chosen at a time."""
    return (
        parts.QueryVariable(name)
        .label(label).datasource(SOURCE)
        .query({"query": query, "refId": name})
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard.VariableSort.NATURAL_ASC)
    )  # fmt: skip


def group_link(value: str) -> parts.DashboardLink:
    """Link to a group's dashboard; `value` is Grafana's word for the group's name."""
    address = f"/d/{GROUP}?var-job=${{job}}&var-group=${{{value}}}&${{__url_time_range}}"
    return parts.DashboardLink("Show this group").url(address)
