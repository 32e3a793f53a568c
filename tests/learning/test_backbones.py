"""Backbones come with the weights that were asked for, or say why not."""

import os

import pytest
import safetensors.torch
import timm
import torch

from medimeta.errors import UnknownNameError, WeightsError
from medimeta.learning.backbones import check_backbone, feature_length, make_backbone

pytestmark = pytest.mark.usefixtures("one_thread")

NAME = "test_resnet.r160_in1k"


@pytest.fixture(scope="module")
def state():
    """A state dict as others publish it: with the classifier of ImageNet."""
    torch.manual_seed(3)
    model = timm.create_model(NAME, pretrained=False, num_classes=10)
    return {key: value + 1 if key.endswith(("mean", "tracked")) else value for key, value in model.state_dict().items()}


def assert_loaded(backbone, state):
    loaded = backbone.state_dict()
    assert loaded.keys() == {key for key in state if not key.startswith("fc.")}
    assert all(torch.equal(value, state[key]) for key, value in loaded.items())


def test_names_that_timm_knows_are_returned():
    assert check_backbone(NAME) == NAME


@pytest.mark.parametrize("call", [check_backbone, make_backbone])
def test_unknown_names_offer_those_near(call):
    with pytest.raises(UnknownNameError, match="unknown backbone 'resnet81'. Did you mean 'resnet18'"):
        call("resnet81")


def test_a_backbone_gives_feature_vectors():
    backbone = make_backbone(NAME, pretrained=False).eval()
    assert backbone(torch.zeros(2, 3, 40, 40)).shape == (2, feature_length(backbone, 40))


def test_finding_the_feature_length_changes_nothing():
    backbone = make_backbone(NAME, pretrained=False).train()
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    feature_length(backbone, 32)
    assert backbone.training
    assert all(torch.equal(value, before[key]) for key, value in backbone.state_dict().items())


def test_without_a_network_the_ways_out_are_named(monkeypatch):
    def offline(name, *, pretrained, **_):
        assert pretrained
        raise OSError("Connection to the hub\n timed out")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(WeightsError, match=f"ImageNet weights of {NAME} could not be fetched") as caught:
        make_backbone(NAME)
    told = str(caught.value)
    assert "OSError: Connection to the hub timed out" in told
    assert "--weights FILE" in told
    assert "--no-pretrained" in told


@pytest.mark.parametrize("prefix", ["", "module.", "backbone."])
@pytest.mark.parametrize("wrapped", [False, True])
def test_weights_of_a_torch_file_are_loaded(state, tmp_path, prefix, wrapped):
    named = {prefix + key: value for key, value in state.items()}
    torch.save({"state_dict": named, "epoch": 3} if wrapped else named, tmp_path / "weights.pt")
    assert_loaded(make_backbone(NAME, weights=tmp_path / "weights.pt"), state)


@pytest.mark.parametrize("prefix", ["", "module."])
def test_weights_of_a_safetensors_file_are_loaded(state, tmp_path, prefix):
    safetensors.torch.save_file({prefix + key: value for key, value in state.items()}, tmp_path / "w.safetensors")
    assert_loaded(make_backbone(NAME, weights=tmp_path / "w.safetensors"), state)


def test_weights_without_a_classifier_are_loaded(state, tmp_path):
    torch.save({key: value for key, value in state.items() if not key.startswith("fc.")}, tmp_path / "w.pth")
    assert_loaded(make_backbone(NAME, pretrained=False, weights=tmp_path / "w.pth"), state)


def test_weights_that_do_not_count_batches_are_loaded(state, tmp_path):
    """Files from before torch counted them lack the counts; torch's own strict loading takes them."""
    old = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    torch.save(old, tmp_path / "old.pth")
    loaded = make_backbone(NAME, weights=tmp_path / "old.pth").state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in old.items() if not key.startswith("fc."))


def test_weights_of_another_model_do_not_fit(state, tmp_path):
    changed = {**state, "extra.weight": torch.zeros(1), "bn1.weight": torch.zeros(3)}
    del changed["layer1.0.conv1.weight"]
    torch.save(changed, tmp_path / "w.pt")
    with pytest.raises(WeightsError, match=f"does not fit {NAME}") as caught:
        make_backbone(NAME, weights=tmp_path / "w.pt")
    own = tuple(state["bn1.weight"].shape)
    assert str(caught.value).splitlines()[1:] == [
        f"  - bn1.weight has the shape (3,), expected {own}",
        f"  - extra.weight is not part of {NAME}",
        "  - layer1.0.conv1.weight is missing",
    ]


def test_only_the_first_of_many_misfits_are_told(tmp_path):
    torch.save({"a": torch.zeros(1)}, tmp_path / "w.pt")
    with pytest.raises(WeightsError) as caught:
        make_backbone(NAME, weights=tmp_path / "w.pt")
    lines = str(caught.value).splitlines()
    assert len(lines) == 7
    assert lines[-1].endswith(" more")


def test_code_in_a_pickle_is_refused_and_not_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    path = tmp_path / "weights.pt"
    torch.save({"conv1.weight": Bomb()}, path)
    with pytest.raises(WeightsError, match="loads without running code"):
        make_backbone(NAME, weights=path)
    assert not (tmp_path / "ran").exists()
    torch.load(path, weights_only=False)
    assert (tmp_path / "ran").exists(), "the pickle holds no code, so that it was refused proves nothing"


@pytest.mark.parametrize("name", ["weights.pt", "weights.safetensors"])
@pytest.mark.parametrize("data", [b"", b"not a file of weights", b"PK\x03\x04"])
def test_files_that_are_no_weights_are_refused(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(WeightsError, match=f"{name}: is neither a safetensors file nor a state dict"):
        make_backbone(NAME, weights=tmp_path / name)


@pytest.mark.parametrize(
    "content", [[torch.zeros(1)], {"state": {}, "lr": 0.1}, {"state_dict": [1]}, {0: torch.zeros(1)}]
)
def test_files_that_hold_something_else_are_refused(tmp_path, content):
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(WeightsError, match="must hold a dict of tensors"):
        make_backbone(NAME, weights=tmp_path / "w.pt")


def test_a_missing_file_is_told(tmp_path):
    for path in (tmp_path / "none.pt", tmp_path):
        with pytest.raises(WeightsError, match="there is no such file. Check the path given as --weights"):
            make_backbone(NAME, weights=path)
