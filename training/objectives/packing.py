"""Packing of several examples into one row, without attention between them, to avoid padding.

Rows are gathered by index from the embedded prompts and responses, and the hidden states of the
responses are gathered by index from the rows. The caller gets the same states as with one example
per row.

Shapes: N examples, P prompt, R response, C noisy copies of it, K columns of an example's sources
(P + R + C R), A absolute positions, W rows, S tokens of a row, L tokens of an example's layout,
D width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from echo_node.model.block_mask import Elements, attention_mask
from echo_node.model.network import EchoNetwork, Prompt

_PADDING = -1  # document number of the padding of a row


@dataclass(frozen=True, slots=True)
class ExampleLayout:
    """Layout of one example.

    The caller needs the states of the last elements of each noisy copy, one for each token of the
    response. Without noisy copies, it needs those of the last elements of the clean text.

    Attributes:
        column_L: source column of each element.
        position_L: absolute position of each element.
        stream_L: stream of each element (`block_mask.Elements`).
    """

    column_L: Tensor
    position_L: Tensor
    stream_L: Tensor


def lay_out(
    prompt: int, response: int, columns: tuple[int, int], block_length: int, copies: int
) -> ExampleLayout:
    """Lay out one example.

    Args:
        prompt: number of tokens of its prompt.
        response: number of trained tokens of its response.
        columns: P and R, which give the first columns of the clean and of the noisy responses.
        block_length: block length; a noisy copy begins with the block in which the prompt ends.
        copies: number of noisy copies of the response.
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
    """Assign examples of these lengths to rows (first fit); return the examples of each row.

    An example that is longer than *row_tokens* gets its own row.
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
        model: network to run.
        prompt: embedded prompts.
        sources_NKD: embedded prompt, response, and noisy copies of the response.
        trained_NR: mask of the needed part of each response; states after it are meaningless.
        row_tokens: length of a row, in tokens.
        block_length: block length of the attention rule; 1 gives causal attention.
        copies: C, number of noisy copies.
        shift: number of positions by which the state for a token precedes the token.

    Returns:
        The states (C, N, R, D) of the noisy responses; without copies (1, N, R, D) of the clean
        text.
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
    place_WS, document_WS = torch.zeros_like(source_WS), torch.full_like(source_WS, _PADDING)
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
            copy_length = length + int(prompt.length_N[n]) % block_length
            for copy, wanted_NR in enumerate(reversed(wanted_CNR.unbind())):
                last = end - copy * copy_length
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
