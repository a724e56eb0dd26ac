"""What each of two processes does in tests of ranks: a step of every kind, and what came of it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from engramctl.arms.ground import Ground
from engramctl.arms.rounds import interleave
from engramctl.arms.subject import Subject
from engramctl.arms.window import Window
from engramctl.hashing import Lookup, lookup_from_dict
from engramctl.model.decoder import Decoder
from engramctl.model.memory_of import memory_of
from engramctl.model.presets import preset
from engramctl.ranks.arms import AloneArm, RankStepArm
from engramctl.ranks.dealt import Dealt
from engramctl.ranks.exchange import Exchange
from engramctl.ranks.mail import Mail
from engramctl.ranks.peers import met
from engramctl.ranks.pipeline import stages_of
from engramctl.ranks.place import Place
from engramctl.ranks.started import Report
from engramctl.storage import open_store, open_table
from engramctl.traffic.trace import Trace

BATCH, CONTEXT, ROUNDS = 8, 3, 3


@dataclass(frozen=True)
class Scenario:
    """One way to run: a table, how it is dealt, a residual, tokens a sequence."""

    folder: Path
    shard: str
    residual: str
    tokens: int


def opened(folder: Path, residual: str) -> tuple[Any, Lookup, Decoder]:
    table = open_table(folder)
    scheme = lookup_from_dict(dict(table.manifest.scheme))
    shape = preset("tiny")
    shape = replace(shape, residual=replace(shape.residual, mode=residual))  # type: ignore[arg-type]
    return table, scheme, Decoder(replace(shape, memory=memory_of(scheme, shape, None, None)))


def windows(scheme: Lookup, tokens: int) -> list[Window]:
    trace = Trace.of("uniform", scheme, 0, None)
    return trace.windows(ROUNDS, BATCH, tokens, scheme.max_order - 1)


def steps(scenarios: tuple[Scenario, ...], place: Place, report: Report) -> list[dict[str, Any]]:
    """Run every scenario; returns what each rank found, by scenario and rank."""
    torch.set_num_threads(1)
    with met(place, torch.device("cpu")) as peers:
        return [peers.each(step(one, peers)) for one in scenarios]  # type: ignore[misc]


def step(one: Scenario, peers: Any) -> dict[str, Any]:
    table, scheme, model = opened(one.folder, one.residual)
    dealt = Dealt.of(table, scheme, peers.world, one.shard)
    part = dealt.part(table, peers.rank)
    words: dict[str, Any] = {"dtype": torch.float32, "scheme": table.scheme}
    with open_store(part.source, "host", **words) as store, Exchange(peers) as exchange:
        subject = Subject(store, scheme, "warm")
        mail = Mail(subject, part, dealt, exchange, stages_of(model.config))
        of = ("host", subject, Ground(peers.device), mail, table)
        context = CONTEXT if one.tokens == 1 else 0
        arms = [RankStepArm(*of, parts, model, context) for parts in (1, 2)]
        alone = AloneArm(*of, 1)
        interleave([*arms, alone], [windows(scheme, one.tokens)] * 3, 1, lambda rounds: None)
    return {
        "logits_off": [arm.logits_off for arm in arms],
        "logits": [arm.last_logits().numpy() for arm in arms],
        "sent": [arm.sent_bytes[-1] for arm in (*arms, alone)],
        "checked": subject.checked_rows,
        "mismatches": subject.mismatches,
        "held": {layer: store.num_rows(layer) for layer in store.layers},
    }
