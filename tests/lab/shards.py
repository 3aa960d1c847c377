"""Which scenarios a run takes: those that are named, all, or smoke and the shard that a seed draws."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from tests.lab.inside.scenario import Scenario

SMOKE = "smoke"
SECONDS = 180  # of scenarios, beside smoke: the rest of 12 minutes is for building the machine


def named(words: Sequence[str], known: Sequence[Scenario]) -> list[Scenario]:
    """Scenarios by name or family; ValueError for a word that is neither."""
    for word in words:
        if word != "all" and not any(word in {each.name, each.family} for each in known):
            raise ValueError(f"There is no scenario {word}. python -m tests.lab list shows them.")
    return [each for each in known if "all" in words or {each.name, each.family} & set(words)]


def drawn(seed: str, known: Sequence[Scenario]) -> list[Scenario]:
    """Smoke, and of the others one shard, each with the same chance. What is longer runs only when named."""
    smoke = [each for each in known if each.family == SMOKE]
    shards = all_shards([each for each in known if each.family != SMOKE and each.seconds <= SECONDS])
    return smoke + (shards[number(seed) % len(shards)] if shards else [])


def all_shards(rest: Sequence[Scenario]) -> list[list[Scenario]]:
    """Every scenario in exactly one shard of about SECONDS."""
    return divided(rest, -(-sum(each.seconds for each in rest) // SECONDS))


def part(word: str, chosen: Sequence[Scenario]) -> list[Scenario]:
    """The Nth of M parts that take about the same time, in the order of `chosen`; ValueError unless `word` is N/M."""
    number, slash, of = word.partition("/")
    if not (slash and number.isdigit() and of.isdigit() and 1 <= int(number) <= int(of)):
        raise ValueError(f"A part is N/M, as 1/4, not {word}.")
    wanted = divided(chosen, int(of))[int(number) - 1]
    return [each for each in chosen if each in wanted]


def divided(scenarios: Sequence[Scenario], count: int) -> list[list[Scenario]]:
    """`count` shards of about equal seconds: longest first, each to the shard with most room."""
    shards: list[list[Scenario]] = [[] for _ in range(count)]
    for each in sorted(scenarios, key=lambda one: (-one.seconds, one.name)):
        min(shards, key=lambda shard: sum(one.seconds for one in shard)).append(each)
    return shards


def number(seed: str) -> int:
    return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8])
