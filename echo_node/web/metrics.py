"""Metrics for Prometheus: numbers of studies and work items by state, and totals."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from echo_node.web.status_queries import StatusQueries


class StateMetrics(Collector):
    """Reads the counts when Prometheus asks, so that every serving process has correct ones."""

    def __init__(self, queries: StatusQueries) -> None:
        self._queries = queries

    def describe(self) -> Iterable[Metric]:
        """Return nothing: the names of the metrics follow from the counts."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Yield a gauge for each kind of count."""
        overview = self._queries.overview()
        by_state = {"studies": overview.studies, **overview.work}
        for name, counts in by_state.items():
            family = GaugeMetricFamily(
                f"echo_node_{name}", f"The number of {name} by state", labels=["state"]
            )
            for state, count in counts.items():
                family.add_metric([state], count)
            yield family
        totals = {
            "instances": ("images received", overview.instances),
            "documents": ("documents made", overview.documents),
            "conflicts": ("undecided objects with the SOP Instance UID of another", overview.conflicts),
            "held": ("studies that wait for an operator's decision", overview.held),
        }
        for name, (what, count) in totals.items():
            yield GaugeMetricFamily(f"echo_node_{name}", f"The number of {what}", value=count)
