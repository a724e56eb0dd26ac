"""The verdict for somebody else's engine: where a table's layers lie in it, and what arrives."""

from collections.abc import Mapping, Sequence
from typing import Any

from engramctl.errors import ConfigError
from engramctl.model.memory_of import memory_positions
from engramctl.results.step_fit import step_fit
from engramctl.sweep.options import BenchOptions


def verdict(
    cases: Sequence[Mapping[str, Any]], options: BenchOptions, table_layers: Sequence[int]
) -> dict[str, Any] | None:
    """Return what `step_fit` says of a run's cases; None where no step was named.

    Raises:
        ConfigError: see `engine_layers`.
    """
    if options.step_ms is None:
        return None
    depth, at = engine_layers(options, table_layers)
    return step_fit(cases, options.step_ms, depth, at)


def engine_layers(options: BenchOptions, table_layers: Sequence[int]) -> tuple[int, dict[int, int]]:
    """Return how many layers the engine has, and which of them each layer of the table feeds.

    With --step-layers the table's own ids, from 0; else the preset's, where its model has them.

    Raises:
        ConfigError: the engine has fewer layers than the table's ids ask for.
    """
    shape = options.shape()
    if options.step_layers is None:
        own = shape.memory_layers
        found = memory_positions(tuple(table_layers), own, shape.num_layers)
        return shape.num_layers, dict(zip(table_layers, found, strict=True))
    if max(table_layers) >= options.step_layers:
        raise ConfigError(
            f"the table feeds layer {max(table_layers)}, which a model of "
            f"{options.step_layers} layers lacks",
            facts={"table layers": ", ".join(map(str, table_layers)), "counted": "from 0"},
            hint="give the engine's number of layers: --step-layers",
        )
    return options.step_layers, {layer: layer for layer in table_layers}
