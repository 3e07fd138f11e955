import socket

import pytest

from trust_core.errors import ModelError
from trust_core.model.recognition.architectures import Blueprint, architecture_names, full_names
from trust_core.model.training.network import Plan, read_plan

ELSEWHERE = (
    "hf-hub:timm/resnet18.a1_in1k",
    "hf_hub:timm/resnet18",
    "hf-hub:timm/resnet18@main",
    "local-dir:{folder}",
    "local-dir:{folder}/resnet18",
    "{folder}/resnet18",
    "../resnet18",
    "https://example.org/resnet18",
    "file:{folder}",
    "HF-HUB:timm/resnet18",
    "resnet18\nhf-hub:timm/resnet18",
    "resnet18/../../hf-hub:timm",
    "",
    "\0",
)
FORMS = (
    "{name}",
    "timm/{name}",
    "torchvision/{name}",
    "smp/Unet:{name}",
    "smp/Unet:tu-{name}",
    "smp/{name}:resnet18",
    "smp/from_pretrained:{name}",
    "multitask/label:{name}",
    "multitask/label:tu-{name}",
    "multitask/joint:FPN32:tu-{name}",
    "multitask/mask:Unet16:tu-{name}",
)


@pytest.fixture
def unreachable(monkeypatch):
    """Connections and look-ups fail the test, even where a library would catch what they raise."""
    asked = []

    def refuse(*arguments, **_):
        asked.append(arguments)
        raise OSError("no network in this test")

    for name in ("connect", "connect_ex", "sendto", "bind"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("getaddrinfo", "gethostbyname", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)
    yield
    assert not asked


@pytest.mark.parametrize("form", FORMS)
def test_no_form_of_a_name_asks_a_hub_or_reads_a_folder(form, unreachable, tmp_path):
    secret = "architecture-of-a-secret"
    (tmp_path / "config.json").write_text(f'{{"architecture": "{secret}"}}')
    for source in ELSEWHERE:
        name = form.format(name=source.format(folder=tmp_path))
        with pytest.raises(ModelError) as caught:
            full_names(name)
        assert secret not in str(caught.value)
        with pytest.raises(ModelError) as caught:  # by a card or a list, past the check of names
            Blueprint(name if "/" in form else f"timm/{name}", 2).build()
        assert secret not in str(caught.value)


def test_plans_name_listed_encoders(unreachable):
    assert read_plan("label:tu-tf_efficientnet_lite0").encoder == "tu-tf_efficientnet_lite0"
    assert read_plan("joint:FPN32:resnet18").encoder == "resnet18"
    with pytest.raises(ModelError, match="There is no encoder"):
        Plan("label", "", "tu-hf-hub:timm/resnet18").build(2)


def test_listed_names_are_still_understood(unreachable):
    assert full_names("resnet18") == ["torchvision/resnet18", "timm/resnet18"]
    assert full_names("smp/Unet:tu-resnet18") == ["smp/Unet:tu-resnet18"]
    assert full_names("smp/FPN:timm-efficientnet-b0") == ["smp/FPN:timm-efficientnet-b0"]
    for name in architecture_names():
        assert name in full_names(name)
