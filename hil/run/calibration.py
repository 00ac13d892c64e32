"""The photographs that a scenario's ranges are chosen on."""

from hashlib import sha256
from pathlib import Path

from hil import files
from hil.config.scenario import Scenario
from hil.errors import UsageError
from hil.vision import photographs
from hil.vision.datasets.base import pictures

MOST_PHOTOGRAPHS = 200  # their activations are in memory at the same time
_DIGEST_LETTERS = 12


def names(scenario: Scenario) -> list[str]:
    """Name them: those of the scenario's folder, or the usual ones and those it adds.

    Raises:
        UsageError: the folder holds no photographs, or too many.
    """
    folder = scenario.calibration_folder
    if folder is None:
        return [*photographs.calibration_set(), *scenario.calibration]
    found = [str(path) for path in _pictures(folder)]
    return [*found, *scenario.calibration]


def fingerprint(scenario: Scenario) -> str:
    """Say how many photographs of a folder there are, and which; empty for the usual ones."""
    if scenario.calibration_folder is None:
        return ""
    found = _pictures(scenario.calibration_folder)
    digest = sha256()
    for path in found:
        digest.update(sha256(path.read_bytes()).digest())
    return f"calibration={len(found)}:{digest.hexdigest()[:_DIGEST_LETTERS]}"


def _pictures(folder: Path) -> list[Path]:
    if not files.is_folder(folder):
        raise UsageError(
            f"{folder} is no folder of photographs to calibrate on",
            hint="name one, or leave it out for the usual photographs",
        )
    found = list(pictures(folder))
    if not 1 <= len(found) <= MOST_PHOTOGRAPHS:
        raise UsageError(
            f"{folder} holds {len(found)} photographs; 1 to {MOST_PHOTOGRAPHS} can be calibrated "
            "on",
            hint="some 30 that show what the network will see are enough",
        )
    return found
