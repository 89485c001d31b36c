"""What a panel is, and the PromQL that several of them are made of.

`$job` and `$instance` are the dashboard's variables; `$__rate_interval` is Grafana's.
"""

from dataclasses import dataclass

REPLICAS = 'job=~"$job",instance=~"$instance"'


@dataclass(frozen=True)
class Panel:
    """One panel.

    Attributes:
        title: what it shows.
        description: what it means, and what to do about it.
        unit: Grafana's name of the unit.
        queries: PromQL and legend of each line; replicas stand for `{REPLICAS}`.
        kind: Grafana's name of the panel type.
        width: in columns, of 24.
        limit: where the colour turns from green to red; falling, if it is green above.
        green_above: whether more is better.
    """

    title: str
    description: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    kind: str = "timeseries"
    width: int = 8
    limit: float | None = None
    green_above: bool = False


def stat(title: str, unit: str, query: str, description: str, **more: object) -> Panel:
    """A panel of one number."""
    return Panel(title, description, unit, ((query, ""),), kind="stat", width=4, **more)  # type: ignore[arg-type]


def mean(metric: str) -> str:
    """Mean of what a histogram saw."""
    seen = f"{{{REPLICAS}}}[$__rate_interval]"
    return f"sum(rate({metric}_sum{seen})) / sum(rate({metric}_count{seen}))"


def quantile(share: float, metric: str, *labels: str, where: str = "") -> str:
    """Quantile of what a histogram saw, by labels."""
    by = ", ".join((*labels, "le"))
    seen = f"{metric}_bucket{{{REPLICAS}{where}}}[$__rate_interval]"
    return f"histogram_quantile({share}, sum by ({by}) (rate({seen})))"


def quantiles(
    shares: tuple[float, ...], metric: str, *, where: str = ""
) -> tuple[tuple[str, str], ...]:
    """Lines of several quantiles of what a histogram saw."""
    return tuple((quantile(share, metric, where=where), f"{share:.0%}") for share in shares)


def mean_and_tail(metric: str) -> tuple[tuple[str, str], ...]:
    """Lines of the mean and the 95 % quantile of what a histogram saw."""
    return ((mean(metric), "mean"), (quantile(0.95, metric), "95 %"))
