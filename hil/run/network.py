"""The network that a scenario names."""

from typing import TYPE_CHECKING

from hil.config.scenario import Scenario

if TYPE_CHECKING:
    from hil.models import LoadedModel, Request


def load(scenario: Scenario) -> "LoadedModel":
    """Make it with its weights; `hil.models.made` says what is raised."""
    from hil import models

    return models.made(_request(scenario))


def structure(scenario: Scenario) -> "LoadedModel":
    """Make it with weights that stand for none, to look at its shape."""
    from hil import models

    return models.shape_of(_request(scenario))


def _request(scenario: Scenario) -> "Request":
    from hil.models import Request
    from hil.vision.photographs import InputSpec

    told = scenario.preprocessing
    return Request(
        model_id=scenario.model,
        variant=scenario.variant,
        checkpoint=scenario.checkpoint,
        seed=scenario.seed,
        keep_weights=scenario.keep_weights,
        spec=None if told is None else InputSpec(**vars(told)),
        directory=scenario.directory,
    )
