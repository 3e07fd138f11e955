"""State dicts of Hugging Face's transformers in the names of timm: ViT, ConvNeXt, Swin, ResNet.

The networks are the same; only names differ, and that transformers keeps query, key and value of an
attention apart where timm has one matrix. transformers' LayerNorm of ViT and the last of ConvNeXt
have an epsilon of 1e-12 in place of 1e-6, which moves an output by less than 1e-4 of its size.
The names are those of `modeling_vit.py`, `modeling_convnext.py`, `modeling_swin.py` and
`modeling_resnet.py` in https://github.com/huggingface/transformers.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

JOINED = ("query", "key", "value")  # in the order of timm's one matrix
_BLOCK = (
    (r"\.attention\.(attention|self)\.(query|key|value)\.", r".attn.\2."),
    (r"\.attention\.self\.relative_position_bias_table", ".attn.relative_position_bias_table"),
    (r"\.attention\.self\.relative_position_index", ".attn.relative_position_index"),
    (r"\.attention\.output\.dense\.", ".attn.proj."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"\.output\.dense\.", ".mlp.fc2."),
)


@dataclass(frozen=True)
class Family:
    """Networks of one kind.

    `sign` is a key that they have; `rules` are pattern -> what takes its place in a key, one after
    the other; keys that match `dropped` decide nothing.
    """

    title: str
    sign: str
    rules: tuple[tuple[str, str], ...]
    dropped: str = r"^$"


FAMILIES = (
    Family(
        "ViT",
        "vit.embeddings.cls_token",
        (
            (r"^vit\.embeddings\.cls_token$", "cls_token"),
            (r"^vit\.embeddings\.position_embeddings$", "pos_embed"),
            (r"^vit\.embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
            (r"^vit\.encoder\.layer\.", "blocks."),
            (r"^vit\.layernorm\.", "norm."),
            (r"^classifier\.", "head."),
            *_BLOCK,
        ),
        r"^vit\.(pooler\.|embeddings\.mask_token$)",
    ),
    Family(
        "ConvNeXt",
        "convnext.embeddings.patch_embeddings.weight",
        (
            (r"^convnext\.embeddings\.patch_embeddings\.", "stem.0."),
            (r"^convnext\.embeddings\.layernorm\.", "stem.1."),
            (r"^convnext\.encoder\.stages\.(\d+)\.downsampling_layer\.", r"stages.\1.downsample."),
            (r"^convnext\.encoder\.stages\.(\d+)\.layers\.", r"stages.\1.blocks."),
            (r"^convnext\.layernorm\.", "head.norm."),
            (r"^classifier\.", "head.fc."),
            (r"\.layer_scale_parameter$", ".gamma"),
            (r"\.dwconv\.", ".conv_dw."),
            (r"(blocks\.\d+)\.layernorm\.", r"\1.norm."),
            (r"\.pwconv([12])\.", r".mlp.fc\1."),
        ),
    ),
    Family(
        "Swin",
        "swin.embeddings.patch_embeddings.projection.weight",
        (
            (r"^swin\.embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
            (r"^swin\.embeddings\.norm\.", "patch_embed.norm."),
            (r"^swin\.encoder\.layers\.", "layers."),
            (r"^swin\.layernorm\.", "norm."),
            (r"^classifier\.", "head.fc."),
            *_BLOCK,
        ),
        r"^swin\.(pooler\.|embeddings\.mask_token$)",
    ),
    Family(
        "ResNet",
        "resnet.embedder.embedder.convolution.weight",
        (
            (r"^resnet\.embedder\.embedder\.convolution\.", "conv1."),
            (r"^resnet\.embedder\.embedder\.normalization\.", "bn1."),
            (r"^resnet\.encoder\.stages\.0\.layers\.", "layer1."),
            (r"^resnet\.encoder\.stages\.1\.layers\.", "layer2."),
            (r"^resnet\.encoder\.stages\.2\.layers\.", "layer3."),
            (r"^resnet\.encoder\.stages\.3\.layers\.", "layer4."),
            (r"^classifier\.1\.", "fc."),
            (r"\.shortcut\.convolution\.", ".downsample.0."),
            (r"\.shortcut\.normalization\.", ".downsample.1."),
            (r"\.layer\.0\.convolution\.", ".conv1."),
            (r"\.layer\.0\.normalization\.", ".bn1."),
            (r"\.layer\.1\.convolution\.", ".conv2."),
            (r"\.layer\.1\.normalization\.", ".bn2."),
            (r"\.layer\.2\.convolution\.", ".conv3."),
            (r"\.layer\.2\.normalization\.", ".bn3."),
        ),
    ),
)


def timm_names(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], str] | None:
    """A state dict of transformers as timm has it, and the family's title.

    Returns:
        None for any other state dict.
    """
    for family in FAMILIES:
        for key in tensors:
            if key == family.sign or key.endswith(f".{family.sign}"):
                prefix = key.removesuffix(family.sign)
                return _renamed(family, prefix, tensors), family.title
    return None


def _renamed(family: Family, prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        name = key.removeprefix(prefix)
        if re.search(family.dropped, name):
            continue
        for pattern, place in family.rules:
            name = re.sub(pattern, place, name)
        found[name] = tensor
    for name in [name for name in found if f".attn.{JOINED[0]}." in name]:
        parts = [name.replace(f".{JOINED[0]}.", f".{part}.") for part in JOINED]
        if all(part in found for part in parts):
            found[name.replace(f".{JOINED[0]}.", ".qkv.")] = torch.cat(
                [found.pop(part) for part in parts]
            )
    return found
