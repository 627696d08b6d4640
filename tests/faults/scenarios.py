"""All scenarios by name, with how many trials each has by default."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from faults import databases, delivering, fuzz, receiving
from faults.world import Tally


@dataclass(frozen=True, slots=True)
class Scenario:
    """A fault that is done on purpose again and again.

    Attributes:
        name: for the command line and the table.
        trials: how often by default.
        run: does it in an empty folder, and raises Broken when a promise is not kept.
    """

    name: str
    trials: int
    run: Callable[[Path, random.Random, int], Tally]

    @property
    def what(self) -> str:
        """Description of the scenario, in a sentence."""
        return (self.run.__doc__ or "").split("\n")[0]


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("killed-while-receiving", 60, receiving.killed_while_receiving),
        Scenario("killed-while-completing", 40, receiving.killed_while_completing),
        Scenario("killed-while-drafting", 50, delivering.killed_while_drafting),
        Scenario("killed-while-delivering", 60, delivering.killed_while_delivering),
        Scenario("killed-while-withdrawing", 30, delivering.killed_while_withdrawing),
        Scenario("one-of-several-receivers-dies", 12, receiving.one_of_several_receivers_dies),
        Scenario("sender-dies-in-mid-file", 100, receiving.sender_dies_in_mid_file),
        Scenario("the-disk-fills", 5, receiving.the_disk_fills),
        Scenario("the-database-restarts", 10, databases.the_database_restarts),
        Scenario("the-clock-jumps", 30, databases.the_clock_jumps),
        Scenario("workers-race", 20, databases.workers_race),
        Scenario("the-pacs-answers", 10, delivering.the_pacs_answers),
        Scenario("the-pacs-refuses", 1, delivering.the_pacs_refuses),
        Scenario("the-pacs-is-away", 1, delivering.the_pacs_is_away),
        Scenario("burst", 2, receiving.a_burst),
        Scenario("idle-connections", 1, receiving.idle_connections),
        Scenario("fuzzed-data-sets", 100_000, fuzz.data_sets),
        Scenario("fuzzed-pdus", 2_000, fuzz.pdus),
    )
}
