"""Wraps the rules that compose mounts as the object that the Prometheus operator reads.

python deploy/kubernetes/wrap_rules.py
"""

from pathlib import Path

HERE = Path(__file__).parent
RULES = HERE.parents[1] / "docker" / "prometheus" / "rules"
OUT = HERE / "base" / "prometheusrule.yaml"
HEAD = """\
# Written by wrap_rules.py from docker/prometheus/rules; change it there.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: wsm-stt
spec:
  groups:
"""


def wrapped() -> str:
    """The object, as YAML, with the comments of the rules."""
    lines = [
        f"  {line}".rstrip()
        for path in sorted(RULES.glob("*.yml"))
        for line in path.read_text().partition("groups:\n")[2].splitlines()
    ]
    return HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    OUT.write_text(wrapped())
