"""What a check finds: where, what is wrong there, and what helps."""

from dataclasses import dataclass, field
from typing import Literal

from flows.kafka import Cluster
from flows.settings import Settings

__all__ = ["Finding", "Grade", "Scene", "of_error", "of_line"]

Grade = Literal["problem", "advice", "unknown"]
"""Something that has to be mended, that is worth to be known, or that could not be looked at."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was found.

    Parameters
    ----------
    place, told, remedy : str
        ``place: told; remedy`` is the message.
    grade : str
    """

    place: str
    told: str
    remedy: str
    grade: Grade = "problem"

    def __str__(self) -> str:
        return f"{self.place}: {self.told}; {self.remedy}"


@dataclass(slots=True)
class Scene:
    """What the checks look at; what one has learned the next ones know.

    Parameters
    ----------
    settings : Settings
    cluster : Cluster or None
        What the broker says of itself; None while there is no answer.
    holder : str
        Who has the recovery folder, as its lock says; "" when nobody does.
    denied : set of str
        Names of topics and groups that this client has no right to.
    """

    settings: Settings
    cluster: Cluster | None = None
    holder: str = ""
    denied: set[str] = field(default_factory=set)


def of_line(line: str, grade: Grade = "problem") -> Finding:
    """Take a message apart.

    Examples
    --------
    >>> found = of_line("oodl.toml: kafka.group: expected a name, got: none; name one; or two")
    >>> found.place, found.told, found.remedy
    ('oodl.toml: kafka.group', 'expected a name, got: none', 'name one; or two')
    >>> of_line("environment: OODL_X: unknown variable; unset it").place
    'environment: OODL_X'
    """
    problem, _, remedy = line.partition("; ")
    place, found, told = problem.partition(": expected ")
    if found:
        return Finding(place, f"expected {told}", remedy, grade)
    place, _, told = problem.rpartition(": ")
    return Finding(place, told, remedy, grade)


def of_error(problem: Exception, grade: Grade = "problem") -> list[Finding]:
    """Take an error of ours apart; it has a line for everything that is wrong."""
    return [of_line(line, grade) for line in str(problem).splitlines()]
