"""Several examples in one row, none of which sees another: no forward is spent on filling up.

A row is put together by index from what the examples are laid out of, and the states of the response are
taken out by index again, so that whoever asks for them gets the same as from one example a row.

Shapes: N examples, P prompt, R response, C noisy copies of it, K columns of an example's sources
(P + R + C R), A absolute positions, W rows, S tokens of a row, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from echo_node.model.block_mask import Elements, attention_mask
from echo_node.model.network import EchoNetwork, Prompt

_FILLING = -1  # the document of what fills up a row


@dataclass(frozen=True, slots=True)
class ExampleLayout:
    """One example's elements: from which column each comes, where it stands, in which stream.

    Each noisy copy ends with those whose states are wanted, as many as the response is long; where there is
    no copy, the clean text does.
    """

    column_L: Tensor
    position_L: Tensor
    stream_L: Tensor


def lay_out(
    prompt: int, response: int, columns: tuple[int, int], block_length: int, copies: int
) -> ExampleLayout:
    """Lay out one example.

    Args:
        prompt: its prompt's tokens.
        response: its response's tokens, as far as they are trained.
        columns: P and R, where the columns of the clean and of the noisy responses begin.
        block_length: decides where a noisy copy begins: with the block in which the prompt ends.
        copies: noisy copies of the response.
    """
    behind, width = columns
    prompt_L, response_L = torch.arange(prompt), torch.arange(response)
    tail_L = prompt_L[prompt - prompt % block_length :]
    columns_of = [torch.cat([prompt_L, behind + response_L])]
    columns_of += [torch.cat([tail_L, behind + copy * width + response_L]) for copy in range(1, copies + 1)]
    positions_of = [torch.cat([prompt_L, prompt + response_L])]
    positions_of += [torch.cat([tail_L, prompt + response_L])] * copies
    stream_L = torch.cat([torch.full_like(each, stream) for stream, each in enumerate(columns_of)])
    return ExampleLayout(torch.cat(columns_of), torch.cat(positions_of), stream_L)


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
    model: EchoNetwork,
    prompt: Prompt,
    sources_NKD: Tensor,
    trained_NR: Tensor,
    row_tokens: int,
    *,
    block_length: int,
    copies: int = 0,
    shift: int = 0,
) -> Tensor:
    """Run examples packed into rows.

    Args:
        model: the network.
        prompt: embedded prompts.
        sources_NKD: embedded prompt and response, and behind them the noisy copies of the response.
        trained_NR: up to where each response is wanted; states behind that mean nothing.
        row_tokens: of a row.
        block_length: of the rule; 1 is causal attention.
        copies: C, how many noisy copies there are.
        shift: how far before each token's own place its state is wanted.

    Returns:
        The states (C, N, R, D) of the copies' responses; without one (1, N, R, D) of the clean text.
    """
    examples, responses = trained_NR.shape
    lengths_N = trained_NR.sum(1).tolist()
    sides = (prompt.length, responses)
    laid_out = [
        lay_out(int(p) if r else 0, int(r), sides, block_length, copies)
        for p, r in zip(prompt.length_N.tolist(), lengths_N, strict=True)
    ]
    rows = rows_of([len(each.column_L) for each in laid_out], row_tokens)
    width = max(1, *(sum(len(laid_out[n].column_L) for n in row) for row in rows))
    columns, positions = sources_NKD.shape[1], prompt.length + responses
    source_WS = torch.zeros((len(rows), width), dtype=torch.long)
    place_WS, document_WS = torch.zeros_like(source_WS), torch.full_like(source_WS, _FILLING)
    position_WS = torch.zeros_like(source_WS)
    stream_WS = torch.zeros_like(source_WS)
    wanted_CNR = torch.zeros((max(1, copies), examples, responses), dtype=torch.long)
    for number, row in enumerate(rows):
        end = 0
        for n in row:
            example, length = laid_out[n], int(lengths_N[n])
            at = slice(end, end := end + len(example.column_L))
            source_WS[number, at] = n * columns + example.column_L
            place_WS[number, at] = n * positions + example.position_L
            position_WS[number, at] = example.position_L
            stream_WS[number, at] = example.stream_L
            document_WS[number, at] = n
            of_a_copy = length + int(prompt.length_N[n]) % block_length
            for copy, wanted_NR in enumerate(reversed(wanted_CNR.unbind())):
                last = end - copy * of_a_copy
                wanted_NR[n, :length] = number * width + torch.arange(last - length, last) - shift
    device = sources_NKD.device
    position_3NA = prompt.position_ids(torch.arange(positions, device=device))
    elements = Elements(
        (position_WS // block_length).to(device), stream_WS.to(device), document_WS.to(device)
    )
    hidden_WSD = model.hidden_states(
        sources_NKD.flatten(0, 1)[source_WS.to(device)],
        position_3NA.flatten(1)[:, place_WS.to(device)],
        attention_mask(elements),
    )
    return hidden_WSD.flatten(0, 1)[wanted_CNR.to(device)]
