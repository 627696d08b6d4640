"""A recorded and replayed step writes the same as the step itself."""

from dataclasses import replace

import pytest
import torch
from support.recorder import RecordedGraph
from support.small_model import make_model, make_prompt

from echo_node.model.decoding.block_writer import BlockWriter
from echo_node.model.decoding.canvas import DecodeSettings
from echo_node.model.decoding.check import check
from echo_node.model.decoding.cuda_graph import recorded
from echo_node.model.decoding.decoder import decode

WAYS = {
    "one step": DecodeSettings(0.0, 1, 40),
    "at most three steps": DecodeSettings(0.6, 3, 40),
    "as many as it takes": DecodeSettings(0.6, 0, 40),
    "unfused": DecodeSettings(0.6, 2, 40, "unfused"),
    "next token": DecodeSettings(0.0, 0, 24, "next_token"),
    "checked": DecodeSettings(0.6, 2, 40, check="mark"),
    "forced length": DecodeSettings(0.0, 1, 40, forced_length=True),
}


@pytest.mark.parametrize("settings", WAYS.values(), ids=WAYS.keys())
def test_replayed_steps_write_the_same_draft_after_draft(settings: DecodeSettings) -> None:
    """One recording serves the drafts that follow, whatever the lengths of their prompts."""
    model, graph = make_model(4), RecordedGraph()
    writer: BlockWriter | None = None
    for seed, text_tokens in enumerate((3, 0, 9, 2, 5)):
        prompt = make_prompt(model, text_tokens, 3, seed)
        eager = decode(model, prompt, settings)
        with torch.inference_mode():
            if writer is None:
                writer = BlockWriter(model, prompt, settings, graph)
            else:
                writer.begin(prompt)
            while not writer.canvas.finished:
                writer.advance()
            if settings.check != "off":
                check(writer)
        replayed = writer.canvas.results()
        assert [d.tokens for d in replayed] == [d.tokens for d in eager]
        for one, other in zip(replayed, eager, strict=True):
            assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)
        assert [(d.forwards, d.ending) for d in replayed] == [(d.forwards, d.ending) for d in eager]
    assert graph.replays > 10


def test_a_step_runs_from_python_twice() -> None:
    calls = []
    total = torch.zeros(())

    def step() -> torch.Tensor:
        calls.append(1)
        total.add_(1)
        return total * 2

    run = recorded(step, RecordedGraph())
    assert [float(run()) for _ in range(5)] == [2, 4, 6, 8, 10]
    assert len(calls) == 2


def test_a_step_that_reads_back_cannot_be_recorded() -> None:
    run = recorded(lambda: torch.ones(1).add_(1).item(), RecordedGraph())
    run()
    with pytest.raises(AssertionError, match="read back"):
        run()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("settings", WAYS.values(), ids=WAYS.keys())
def test_a_cuda_graph_writes_what_eager_steps_write(settings: DecodeSettings) -> None:
    model = make_model(4)
    model.to(torch.device("cuda"))  # type: ignore[arg-type]
    prompt = make_prompt(make_model(4), 3, 3)
    there = replace(
        prompt,
        embeds_NPD=prompt.embeds_NPD.cuda(),
        position_3NP=prompt.position_3NP.cuda(),
        offset_N=prompt.offset_N.cuda(),
        length_N=prompt.length_N.cuda(),
    )
    graphed = decode(model, there, settings)
    with torch.inference_mode():
        writer = BlockWriter(model, there, settings)
        while not writer.canvas.finished:
            writer._advance()
    assert [d.tokens for d in graphed] == [d.tokens for d in writer.canvas.results()]
