"""Grafana's dashboards, made by ``python -m infra.grafana``, and what brings them into Grafana."""
