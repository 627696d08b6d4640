"""Ask a running node for its health and its metrics, as a monitoring system does.

    python examples/watch_node.py http://127.0.0.1:8042

Prints one line for each metric that counts studies, and exits with 1 if the node is not healthy.
"""

import sys

import httpx
from prometheus_client.parser import text_string_to_metric_families


def main() -> int:
    """Print health and counts; return the exit code."""
    address = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8042"
    with httpx.Client(base_url=address, timeout=10) as node:
        health, metrics = node.get("/health"), node.get("/metrics")
    print(f"health: {health.status_code} {health.text.strip()}")
    for family in text_string_to_metric_families(metrics.text):
        for sample in family.samples:
            if sample.name == "echo_node_studies":
                print(f"studies {sample.labels['state']}: {sample.value:.0f}")
    return 0 if health.status_code == 200 else 1


if __name__ == "__main__":
    sys.exit(main())
