"""The layouts of transformers' modeling files, written from timm's networks the other way round."""

import re

import pytest
import torch
from torch import nn

from tests.model.networks import build
from tests.model.recognition.test_recognise import FILE, outputs, same
from trust_core.model.recognition.recognise import recognise

ATTENTION = (
    ("norm1", "layernorm_before"),
    ("norm2", "layernorm_after"),
    ("attn.proj", "attention.output.dense"),
    ("mlp.fc1", "intermediate.dense"),
    ("mlp.fc2", "output.dense"),
)
VIT = (
    ("cls_token", "vit.embeddings.cls_token"),
    ("pos_embed", "vit.embeddings.position_embeddings"),
    ("patch_embed.proj", "vit.embeddings.patch_embeddings.projection"),
    ("blocks.", "vit.encoder.layer."),
    (r"^norm\.", "vit.layernorm."),
    (r"^head\.", "classifier."),
    *ATTENTION,
)
CONVNEXT = (
    (r"^stem\.0", "convnext.embeddings.patch_embeddings"),
    (r"^stem\.1", "convnext.embeddings.layernorm"),
    (r"^head\.norm", "convnext.layernorm"),
    (r"^head\.fc", "classifier"),
    (r"^stages\.", "convnext.encoder.stages."),
    (r"\.downsample\.", ".downsampling_layer."),
    (r"\.blocks\.", ".layers."),
    ("gamma", "layer_scale_parameter"),
    ("conv_dw", "dwconv"),
    (r"(\.layers\.\d+)\.norm\.", r"\1.layernorm."),
    (r"mlp\.fc", "pwconv"),
)
SWIN = (
    ("patch_embed.proj", "swin.embeddings.patch_embeddings.projection"),
    ("patch_embed.norm", "swin.embeddings.norm"),
    (r"^layers\.(\d)\.downsample", lambda m: f"layers.{int(m[1]) - 1}.downsample"),
    (r"^layers\.", "swin.encoder.layers."),
    (r"^norm\.", "swin.layernorm."),
    (r"^head\.fc\.", "classifier."),
    ("attn.relative", "attention.self.relative"),
    *ATTENTION,
)
RESNET = (
    (r"^conv1", "resnet.embedder.embedder.convolution"),
    (r"^bn1", "resnet.embedder.embedder.normalization"),
    (r"^layer(\d)\.(\d+)\.", lambda m: f"resnet.encoder.stages.{int(m[1]) - 1}.layers.{m[2]}."),
    (r"\.conv(\d)", lambda m: f".layer.{int(m[1]) - 1}.convolution"),
    (r"\.bn(\d)", lambda m: f".layer.{int(m[1]) - 1}.normalization"),
    (r"downsample\.0", "shortcut.convolution"),
    (r"downsample\.1", "shortcut.normalization"),
    (r"^fc", "classifier.1"),
)


def published(module, rules, where="attention.attention"):
    """The state dict of a network of timm as transformers saves it."""
    state = {}
    for key, value in module.state_dict().items():
        name = key
        for pattern, place in rules:
            name = re.sub(pattern, place, name)
        if "attn.qkv" in name:
            parts = zip(("query", "key", "value"), value.chunk(3), strict=True)
            state |= {name.replace("attn.qkv", f"{where}.{part}"): each for part, each in parts}
        else:
            state[name] = value
    return state


@pytest.mark.parametrize(
    ("name", "options", "rules", "where", "side"),
    [
        ("timm/vit_tiny_patch16_224", {"img_size": 64}, VIT, "attention.attention", 64),
        ("timm/convnext_atto", {}, CONVNEXT, "", 64),
        ("timm/resnet26", {}, RESNET, "", 64),
        pytest.param(
            *("timm/swin_tiny_patch4_window7_224", {"img_size": 64}, SWIN, "attention.self", 64),
            marks=pytest.mark.slow,
        ),
    ],
)
@pytest.mark.parametrize("prefix", ["", "model."])
def test_a_state_dict_of_transformers(name, options, rules, where, side, prefix):
    module = build(name, **options)
    state = {prefix + key: value for key, value in published(module, rules, where).items()}
    for part in module.modules():
        if isinstance(part, nn.LayerNorm) and name.startswith("timm/vit"):
            part.eps = 1e-12  # as transformers has it
    result = recognise(FILE, state, size=(side, side))
    assert same(outputs(result.module, size=(side, side)), outputs(module, size=(side, side)))
    assert any("names of transformers" in note for note in result.notes)


def test_what_decides_nothing_is_left_out():
    state = published(build("timm/vit_tiny_patch16_224", img_size=64), VIT, "attention.attention")
    state["vit.pooler.dense.weight"] = torch.zeros(192, 192)
    assert recognise(FILE, state).blueprint.name.startswith("timm/")
