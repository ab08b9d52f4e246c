"""Manifests for Kubernetes, and what makes and checks them: ``python -m infra.kubernetes``."""
