"""Panels as we want them: lines over time, one number, a table, states over time."""

from collections.abc import Sequence

from grafana_foundation_sdk.builders import common as options
from grafana_foundation_sdk.builders import dashboard as parts
from grafana_foundation_sdk.builders import prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from infra.grafana.queries import Query

__all__ = ["SOURCE", "Column", "Panel", "columns", "lines", "number", "states"]

SOURCE = dashboard.DataSourceRef(type_val="prometheus", uid="oodl-prometheus")
WHOLE, HALF, THIRD, SIXTH = 24, 12, 8, 4  # of the grid's columns
GREEN, ORANGE, RED = "green", "orange", "red"

Panel = timeseries.Panel | stat.Panel | statetimeline.Panel | table.Panel
Column = tuple[Query, str, str, float | None]  # its query, its title, its unit, red from


def _letter(place: int) -> str:
    return chr(ord("A") + place)


def _target(query: Query, place: int) -> prometheus.Dataquery:
    made = prometheus.Dataquery().expr(query.expression).ref_id(_letter(place))
    return made.legend_format(query.legend).datasource(SOURCE)


def _steps(red_from: float | None, red_below: float | None = None) -> parts.ThresholdsConfig:
    first, then = (GREEN, RED) if red_below is None else (RED, GREEN)
    at = red_from if red_below is None else red_below
    steps = [dashboard.Threshold(None, first)]
    if at is not None:
        steps.append(dashboard.Threshold(at, then))
    return parts.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(steps)


def lines(
    title: str, told: str, unit: str, queries: Sequence[Query], *, red_from: float | None = None
) -> timeseries.Panel:
    """Lines over time, a series each; from `red_from` on the ground is red."""
    legend = options.VizLegendOptions().display_mode(common.LegendDisplayMode.LIST)
    panel = (
        timeseries.Panel()
        .title(title).description(told).unit(unit).datasource(SOURCE)
        .span(HALF).height(8).min(0)
        .line_width(1).fill_opacity(8).show_points(common.VisibilityMode.NEVER)
        .legend(legend.placement(common.LegendPlacement.BOTTOM).show_legend(True))  # noqa: FBT003
        .tooltip(
            options.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI)
            .sort(common.SortOrder.DESCENDING)
        )
    )  # fmt: skip
    if red_from is not None:
        style = options.GraphThresholdsStyleConfig()
        panel.thresholds(_steps(red_from))
        panel.thresholds_style(style.mode(common.GraphThresholdsStyleMode.AREA))
    for place, query in enumerate(queries):
        panel.with_target(_target(query, place).range())
    return panel


def number(
    title: str,
    told: str,
    unit: str,
    query: Query,
    *,
    red_from: float | None = None,
    red_below: float | None = None,
) -> stat.Panel:
    """One number, as it is now, over a line of how it came there."""
    return (
        stat.Panel()
        .title(title).description(told).unit(unit).datasource(SOURCE)
        .span(SIXTH).height(4)
        .thresholds(_steps(red_from, red_below))
        .color_mode(common.BigValueColorMode.VALUE).graph_mode(common.BigValueGraphMode.AREA)
        .reduce_options(options.ReduceDataOptions().calcs(["lastNotNull"]))
        .with_target(_target(query, 0).range())
    )  # fmt: skip


def states(title: str, told: str, query: Query) -> statetimeline.Panel:
    """A bar for each series, where it has a value."""
    return (
        statetimeline.Panel()
        .title(title).description(told).datasource(SOURCE)
        .span(WHOLE).height(6)
        .with_target(_target(query, 0).range())
    )  # fmt: skip


def columns(title: str, told: str, sort: str, chosen: Sequence[Column]) -> table.Panel:
    """A table with a row for each value of a label, and a column for each query, as of now."""
    names = {f"Value #{_letter(place)}": name for place, (_, name, _, _) in enumerate(chosen)}
    panel = (
        table.Panel()
        .title(title).description(told).datasource(SOURCE)
        .span(WHOLE).height(12)
        .sort_by([options.TableSortByFieldState().display_name(sort).desc(True)])  # noqa: FBT003
        .with_transformation(dashboard.DataTransformerConfig("merge", options={}))
        .with_transformation(
            dashboard.DataTransformerConfig(
                "organize", options={"excludeByName": {"Time": True}, "renameByName": names}
            )
        )
    )  # fmt: skip
    for place, (query, name, unit, red_from) in enumerate(chosen):
        panel.with_target(_target(query, place).instant().format(PromQueryFormat.TABLE))
        properties = [dashboard.DynamicConfigValue("unit", unit)]
        if red_from is not None:
            properties += [
                dashboard.DynamicConfigValue("thresholds", _steps(red_from).build().to_json()),
                dashboard.DynamicConfigValue("custom.cellOptions", {"type": "color-text"}),
            ]
        panel.override_by_name(name, properties)
    return panel
