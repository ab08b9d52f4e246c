"""What is asked of Prometheus: an expression and what each of its series is called.

``$job`` and ``$group`` are variables of the dashboards; ``$__rate_interval`` is Grafana's, a few
scrapes at least. Sums come before ratios: so several processes show what one would.
"""

from dataclasses import dataclass

__all__ = ["Query", "by", "mean_square", "quantile", "rate", "ratio", "total"]

JOB = 'job="$job"'
GROUP = f'{JOB}, group="$group"'


@dataclass(frozen=True, slots=True)
class Query:
    """An expression, and the name of its series with labels in double braces.

    Examples
    --------
    >>> Query("up", "{{instance}}").labels
    ('instance',)
    """

    expression: str
    legend: str = ""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that each of the series has to have."""
        return tuple(part.split("}}")[0] for part in self.legend.split("{{")[1:])


def total(metric: str, labels: str = "", where: str = JOB) -> str:
    """Add up the rates of a counter.

    >>> total("oodl_jumps_total", "group")
    'sum by (group) (rate(oodl_jumps_total{job="$job"}[$__rate_interval]))'
    """
    return f"sum{by(labels)} ({rate(metric, where)})"


def rate(metric: str, where: str = JOB) -> str:
    """Growth of a counter a second."""
    return f"rate({metric}{{{where}}}[$__rate_interval])"


def by(labels: str) -> str:
    """Say what to group by; nothing: all in one."""
    return f" by ({labels})" if labels else ""


def ratio(over: str, under: str, labels: str = "", where: str = JOB) -> str:
    """Divide the growth of two counters; no growth below is no value, and no NaN."""
    return f"{total(over, labels, where)} / ({total(under, labels, where)} > 0)"


def mean_square(labels: str = "", where: str = JOB) -> str:
    """Error of reconstruction: root mean square, in channel standard deviations."""
    return f"sqrt({ratio('oodl_residual_energy_total', 'oodl_values_total', labels, where)})"


def quantile(share: float, histogram: str) -> str:
    """Bound that this share of a histogram lies within."""
    return f"histogram_quantile({share}, {total(f'{histogram}_bucket', 'le')})"
