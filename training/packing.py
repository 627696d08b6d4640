"""Several examples in one row, none of which sees another: no forward is spent on filling up.

A row is put together by index from what the examples are laid out of, and the states of the response are
taken out by index again, so that whoever asks for them gets the same as from one example a row.

Shapes: N examples, P prompt, R response, C columns of an example's sources (P + R, or P + 2 R with a noisy
copy), A absolute positions, W rows, S tokens of a row, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from echo_node.model.block_mask import Elements, attention_mask
from echo_node.model.vlm import EchoForReportGeneration, Prompt

_FILLING = -1  # the document of what fills up a row


@dataclass(frozen=True, slots=True)
class Example:
    """One example's elements: from which column each comes, where it stands, whether it is noisy.

    The last ones, as many as the response is long, are those whose states are wanted.
    """

    column_L: Tensor
    position_L: Tensor
    noisy_L: Tensor


def lay_out(
    prompt: int, response: int, columns: tuple[int, int], block_length: int, *, noisy: bool
) -> Example:
    """Lay out one example.

    Args:
        prompt: its prompt's tokens.
        response: its response's tokens, as far as they are trained.
        columns: P and R, where the columns of the clean and of the noisy response begin.
        block_length: decides where the noisy copy begins: with the block in which the prompt ends.
        noisy: whether there is a noisy copy.
    """
    behind, width = columns
    prompt_L, response_L = torch.arange(prompt), torch.arange(response)
    column_L = torch.cat([prompt_L, behind + response_L])
    position_L = torch.cat([prompt_L, prompt + response_L])
    noisy_L = torch.zeros(len(column_L), dtype=torch.bool)
    if noisy:
        tail_L = prompt_L[prompt - prompt % block_length :]
        column_L = torch.cat([column_L, tail_L, behind + width + response_L])
        position_L = torch.cat([position_L, tail_L, prompt + response_L])
        noisy_L = torch.arange(len(column_L)) >= prompt + response
    return Example(column_L, position_L, noisy_L)


def rows_of(lengths: list[int], row_tokens: int) -> list[list[int]]:
    """Put examples of these lengths into rows, each into the first that has room; return each row's.

    One that is longer than *row_tokens* gets a row of its own.
    """
    rows: list[list[int]] = []
    room: list[int] = []
    for example, length in enumerate(lengths):
        place = next((row for row, left in enumerate(room) if left >= length), len(rows))
        if place == len(rows):
            rows.append([])
            room.append(row_tokens)
        rows[place].append(example)
        room[place] -= length
    return rows


def packed_hidden_states(
    model: EchoForReportGeneration,
    prompt: Prompt,
    sources_NCD: Tensor,
    trained_NR: Tensor,
    row_tokens: int,
    *,
    block_length: int,
    noisy: bool,
    shift: int = 0,
) -> Tensor:
    """Run examples packed into rows; return the states (N, R, D) of the last stream of each.

    Args:
        model: the network.
        prompt: embedded prompts.
        sources_NCD: embedded prompt and response, and behind them the noisy response if there is one.
        trained_NR: up to where each response is wanted; states behind that mean nothing.
        row_tokens: of a row.
        block_length: of the rule; 1 is causal attention.
        noisy: whether there is a noisy copy of the response.
        shift: how far before each token's own place its state is wanted.
    """
    examples, responses = trained_NR.shape
    lengths_N = trained_NR.sum(1).tolist()
    sides = (prompt.length, responses)
    laid_out = [
        lay_out(int(p) if r else 0, int(r), sides, block_length, noisy=noisy)
        for p, r in zip(prompt.length_N.tolist(), lengths_N, strict=True)
    ]
    rows = rows_of([len(each.column_L) for each in laid_out], row_tokens)
    width = max(1, *(sum(len(laid_out[n].column_L) for n in row) for row in rows))
    columns, positions = sources_NCD.shape[1], prompt.length + responses
    source_WS = torch.zeros((len(rows), width), dtype=torch.long)
    place_WS, document_WS = torch.zeros_like(source_WS), torch.full_like(source_WS, _FILLING)
    position_WS = torch.zeros_like(source_WS)
    noisy_WS = torch.zeros_like(source_WS, dtype=torch.bool)
    wanted_NR = torch.zeros((examples, responses), dtype=torch.long)
    for number, row in enumerate(rows):
        end = 0
        for n in row:
            example, length = laid_out[n], int(lengths_N[n])
            at = slice(end, end := end + len(example.column_L))
            source_WS[number, at] = n * columns + example.column_L
            place_WS[number, at] = n * positions + example.position_L
            position_WS[number, at] = example.position_L
            noisy_WS[number, at] = example.noisy_L
            document_WS[number, at] = n
            wanted_NR[n, :length] = number * width + torch.arange(end - length, end) - shift
    device = sources_NCD.device
    position_3NA = prompt.position_ids(torch.arange(positions, device=device))
    elements = Elements((position_WS // block_length).to(device), noisy_WS.to(device), document_WS.to(device))
    hidden_WSD = model.hidden_states(
        sources_NCD.flatten(0, 1)[source_WS.to(device)],
        position_3NA.flatten(1)[:, place_WS.to(device)],
        attention_mask(elements),
    )
    return hidden_WSD.flatten(0, 1)[wanted_NR.to(device)]
