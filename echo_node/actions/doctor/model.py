"""Checks of the model and of the device that it runs on."""

from __future__ import annotations

from echo_node.actions.doctor.check import Check, Grade
from echo_node.errors import EchoNodeError
from echo_node.settings import ModelSettings


def check_model(settings: ModelSettings) -> Check:
    """Check whether the model can be loaded."""
    from echo_node.inference.generator import load_generator

    try:
        model = load_generator(settings).model
    except EchoNodeError as error:
        return Check("model", Grade.FAILED, str(error), "choose another with --model or model.name")
    kind = "demonstration model, not for clinical use" if model.demonstration else "not a demonstration"
    return Check("model", Grade.OK, f"{model.name} {model.version} ({model.digest[:12]}), {kind}")


def check_device(settings: ModelSettings) -> Check:
    """Check whether the device is available. Report which one will be used."""
    import torch

    has_gpu = torch.cuda.is_available()
    if settings.device == "cuda" and not has_gpu:
        return Check("device", Grade.FAILED, "PyTorch sees no GPU", "set model.device to 'auto' or 'cpu'")
    if has_gpu and settings.device != "cpu":
        return Check("device", Grade.OK, torch.cuda.get_device_name(0))
    return Check("device", Grade.OK, f"cpu, {settings.threads or torch.get_num_threads()} threads")
