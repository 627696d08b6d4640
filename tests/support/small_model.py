"""A network of small dimensions with random weights, and prompts for it."""

import torch

from echo_node.model.config import EchoConfig
from echo_node.model.network import Prompt
from echo_node.model.report_generation import EchoForReportGeneration

EOS, MASK, IMAGE = 2, 3, 5
VOCABULARY = 40


def make_model(block_length: int, seed: int = 0) -> EchoForReportGeneration:
    torch.manual_seed(seed)
    config = EchoConfig(
        text_config={
            "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
            "num_attention_heads": 2, "num_key_value_heads": 1, "eos_token_id": EOS, "bos_token_id": None,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 2, 2]},
            "max_position_embeddings": 512,
        },
        vision_config={
            "depth": 1, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "out_hidden_size": 32,
            "fullatt_block_indexes": [0],
        },
        image_token_id=IMAGE, video_token_id=IMAGE, vision_start_token_id=6, vision_end_token_id=7,
        mask_token_id=MASK, block_length=block_length, tie_word_embeddings=False,
    )  # fmt: skip
    model = EchoForReportGeneration(config)
    model.eval()  # type: ignore[no-untyped-call]
    with torch.no_grad():  # random weights of this size give distributions that differ by position
        for parameter in model.model.language_model.parameters():
            if parameter.ndim == 2:
                parameter.normal_(std=0.25)
        model.lm_head.weight.normal_(std=0.5)
    return model


def prompt_inputs(text_tokens: int, sequences: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and patches of prompts: an image of 2 x 2 merged patches (6 tokens), then text."""
    generator = torch.Generator().manual_seed(seed)
    text = torch.randint(8, VOCABULARY, (sequences, text_tokens), generator=generator)
    image = torch.tensor([6, IMAGE, IMAGE, IMAGE, IMAGE, 7]).expand(sequences, -1)
    return torch.cat([image, text], 1), torch.randn((sequences * 16, 1176), generator=generator)


def make_prompt(
    model: EchoForReportGeneration, text_tokens: int, sequences: int = 2, seed: int = 1
) -> Prompt:
    """Embedded prompts of 6 + text_tokens tokens."""
    ids, pixels = prompt_inputs(text_tokens, sequences, seed)
    with torch.no_grad():
        return model.embed_prompt(ids, pixels, torch.tensor([[1, 4, 4]] * sequences))
