"""The verdict on a run of the demo: one JSON object, and the rules that it has to keep."""

from collections.abc import Iterator

import msgspec

__all__ = ["Verdict"]

MOST_VERSION_0 = 0.5
MOST_OF_IDENTITY = 0.6
MOST_DIFFERENCE = 1e-4
MOST_DISTANCE = 0.05


class Verdict(msgspec.Struct, kw_only=True, frozen=True):
    """What a run of the demo has shown; a figure is None when there was nothing to tell it from.

    Attributes
    ----------
    seconds, first_code_seconds : float
        From the start of the process: its length, and when the first code was read.
    groups, readings, codes, dead_letters, decoded : int
        Groups and readings sent; codes and dead letters read; codes decoded and compared.
    lost : int
        Readings sent at least 2 s before the end whose code or dead letter was not read.
    largest_error, tolerance : float
        Of a decoded reading, and what was promised, both in channel standard deviations.
    versions : int
        Dictionaries published, without version 0.
    share_version_0 : float
        Codes with version 0 among all.
    fleet_density, fleet_density_identity : float
        Atoms a value for the simulated fleet, and what the identity would have needed.
    fleet_planted_distance : float
        Of the versions in force to the planted dictionaries, over the last quarter of readings.
    recomputed_error_difference : float
        Largest difference between the error in a code and that of an independent decoder.
    """

    seconds: float
    first_code_seconds: float | None
    groups: int
    readings: int
    codes: int
    dead_letters: int
    decoded: int
    lost: int
    largest_error: float
    tolerance: float
    versions: int
    share_version_0: float | None
    fleet_density: float | None
    fleet_density_identity: float | None
    fleet_planted_distance: float | None
    recomputed_error_difference: float

    def failures(self) -> Iterator[str]:
        """Name every rule that the run did not keep."""
        for name, most, meaning in (
            ("lost", 0, "readings whose code or dead letter was never read"),
            ("largest_error", self.tolerance, "the tolerance"),
            ("share_version_0", MOST_VERSION_0, "half of the codes"),
            ("fleet_density", self._most_density, "0.6 fleet_density_identity"),
            ("recomputed_error_difference", MOST_DIFFERENCE, "what rounding explains"),
            ("fleet_planted_distance", MOST_DISTANCE, "what a learned dictionary reaches"),
        ):
            figure = getattr(self, name)
            if figure is not None and not figure <= most:
                yield f"{name}: expected at most {most:.6g} ({meaning}), got {figure:.6g}"

    @property
    def _most_density(self) -> float:
        return MOST_OF_IDENTITY * (self.fleet_density_identity or 0.0)
