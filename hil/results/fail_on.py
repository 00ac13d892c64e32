"""`--fail-on`: which changes make a comparison fail.

An expression is a list of conditions with commas between; any of them fails the comparison:
a class (`regression`, `improvement`, `change`, `unknown`), or a metric's growth beyond an amount
(`cycles>0.5%`, `ram.total>256`), or its fall (`output.cosine<-0.001`). Patterns fit several metrics
(`cycles.layer.*>10`).
"""

import re
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

from hil.errors import UsageError
from hil.results.compare import Comparison, Outcome

Condition = Callable[[Comparison], bool]
_METRIC = re.compile(r"(?P<metric>[^<>]+)(?P<sign>[<>])(?P<amount>-?[0-9.]+)(?P<share>%?)")
_CLASSES: dict[str, Condition] = {
    "regression": lambda one: one.outcome.is_worse,
    "improvement": lambda one: one.outcome in {Outcome.IMPROVEMENT, Outcome.MIXED},
    "change": lambda one: bool(one.changes),
    "unknown": lambda one: one.outcome.is_unknown,
}


def parse(expression: str) -> Condition:
    """Return the condition under which a comparison fails.

    Raises:
        UsageError: a part is no condition; the error shows those there are.
    """
    parts = [_condition(part.strip()) for part in expression.split(",")]
    return lambda one: any(part(one) for part in parts)


def _condition(part: str) -> Condition:
    if part in _CLASSES:
        return _CLASSES[part]
    found = _METRIC.fullmatch(part)
    try:
        amount = float(found["amount"]) if found else None
    except ValueError:
        amount = None
    if found is None or amount is None:
        raise UsageError(
            f"--fail-on: {part!r} is no condition",
            hint=f"a class ({', '.join(_CLASSES)}) or such as cycles>0.5%, ram.total>256",
        )
    pattern, above, relative = found["metric"].strip(), found["sign"] == ">", bool(found["share"])
    bound = amount / 100 if relative else amount

    def moved(one: Comparison) -> bool:
        values = [
            change.share if relative else change.moved
            for change in one.changes
            if fnmatchcase(change.metric, pattern)
        ]
        return any(
            value is not None and (value > bound if above else value < bound) for value in values
        )

    return moved


def exit_status(comparisons: Sequence[Comparison], fails: Condition) -> int:
    """Return 1 where a comparison fails, else 2 where one was not possible, else 0.

    Args:
        comparisons: of scenarios.
        fails: says of one whether it fails.
    """
    if any(fails(one) for one in comparisons):
        return 1
    return 2 if any(one.outcome.is_unknown for one in comparisons) else 0
