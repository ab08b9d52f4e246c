"""How each command of the pages is run: by tests/broker/test_pages.py, or as said here.

What a page tells to type is run on an Apache Kafka as it stands there, unless a line here says what
else runs it, or why nothing can. A line is a pattern of commands, by their first lines.
"""

from fnmatch import fnmatchcase

__all__ = ["ELSEWHERE", "IN_CI", "NOT_RUN", "here"]

IN_CI = (  # steps of .ci/run: what runs these tests cannot be run by one of them
    "make setup",
    "make test",
    "make operation",
    "make fault",
    "make alerts",
    "make lint",
    "make docs",
    "make sbom",
    "DEMO_SECONDS=60 make demo",
)
ELSEWHERE = {  # the test that runs it, or what the command calls
    "make": "tests/docs/test_commands.py::test_make_alone_says_what_there_is",
    "kubectl kustomize *": "tests/infra/test_kubernetes.py::"
    "test_every_manifest_fits_the_schema_of_its_kind",
    "python -m infra.grafana": "tests/infra/test_grafana.py::"
    "test_the_files_are_what_the_code_makes",
    "oodl dead-letters *": "tests/stack/test_runbook.py::test_a_command_runs",
    "acls=*": "tests/broker/test_pages.py::test_the_rights_are_granted_as_the_page_says",
    "$acls *": "tests/broker/test_pages.py::test_the_rights_are_granted_as_the_page_says",
}
NOT_RUN = {
    "git clone *": "downloads 1 GB after it: python -m benchmarks.first_code runs and times it",
    "make -C oodl setup": "downloads 1 GB: python -m benchmarks.first_code runs and times it",
    "make bench-learner": "half an hour beside rivals; each of its records says when it was run",
    ".ci/run": "it runs these tests",
    "docker compose *": "no Docker engine here; tests/fault/test_containers.py runs what the "
    "containers run",
    "kubectl apply *": "no cluster here; tests/infra/test_kubernetes.py checks what is applied",
    "kubectl -n oodl *": "no cluster here",
    "kubectl get *": "no cluster here",
}


def here(command: str) -> bool:
    """Tell whether tests/broker/test_pages.py has to run a command."""
    first = command.partition("\n")[0]
    return not any(fnmatchcase(first, like) for like in (*IN_CI, *ELSEWHERE, *NOT_RUN))
