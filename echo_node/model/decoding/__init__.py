"""Block-diffusion decoding: the decoder, its canvas, and the check of drafts."""
