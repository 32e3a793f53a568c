"""``Normalize``: the formula, as a module, on every path; what it refuses."""

import copy
import pickle
import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch import nn

import medimeta as mm
from medimeta.errors import UsageError
from medimeta.loading.normalize import STATISTICS

MEAN, STD = (0.2, 0.4, 0.6), (0.3, 0.2, 0.1)

unit = st.floats(0, 1, allow_subnormal=False)
spread = st.floats(0.01, 1)
own = st.one_of(
    st.tuples(st.tuples(unit), st.tuples(spread)),
    st.tuples(st.tuples(unit, unit, unit), st.tuples(spread, spread, spread)),
)


def images_of(batch=2, channels=3, size=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (batch, channels, size, size), dtype=torch.uint8, generator=generator)


def formula(images, statistics, channels, rgb):
    """The definition, in float64 with NumPy."""
    mean, std = (np.asarray(part, dtype=np.float64) for part in statistics)
    outputs = 3 if rgb else channels
    if len(mean) != outputs:
        mean, std = np.full(outputs, mean.mean()), np.full(outputs, std.mean())
    scaled = np.repeat(images.numpy().astype(np.float64), outputs // images.shape[1], axis=1) / 255
    return (scaled - mean[:, None, None]) / std[:, None, None]


def close(found, expected):
    # Single precision: an error relative to the size of the numbers that are added.
    np.testing.assert_allclose(
        found.double().numpy(), expected, rtol=1e-5, atol=1e-5 * max(1, np.abs(expected).max(initial=0))
    )


@settings(max_examples=60, deadline=None)
@given(
    statistics=st.one_of(st.sampled_from(sorted(STATISTICS)), own),
    rgb=st.booleans(),
    data=st.data(),
)
def test_it_is_the_formula_on_both_paths(statistics, rgb, data):
    channels = data.draw(st.sampled_from([1, 3]))
    shape = (data.draw(st.integers(0, 9)), channels, data.draw(st.integers(1, 7)), data.draw(st.integers(1, 7)))
    images = torch.from_numpy(data.draw(arrays.arrays(np.uint8, shape)))
    if data.draw(st.booleans()):
        images = images.contiguous(memory_format=torch.channels_last)
    rule = mm.Normalize(statistics, channels=channels, rgb=rgb)
    expected = formula(images, STATISTICS.get(statistics, statistics), channels, rgb)
    for found in (rule(images), rule(images.float()), rule(images.long())):  # the second as on other devices
        assert found.dtype is torch.float32
        assert found.shape == expected.shape
        close(found, expected)


@settings(max_examples=20, deadline=None)
@given(start=st.integers(0, 4), step=st.integers(1, 3))
def test_a_batch_is_its_images_also_of_views(start, step):
    images = images_of(9)[start::step, :, ::2, 1:]
    rule = mm.Normalize((MEAN, STD))
    single = torch.cat([rule(image[None]).clone() for image in images])
    assert torch.equal(rule(images), single)


def test_results_lie_in_memory_as_the_images_do():
    rule = mm.Normalize()
    stored = images_of().contiguous(memory_format=torch.channels_last)
    assert rule(stored).is_contiguous(memory_format=torch.channels_last)
    assert rule(stored.float()).is_contiguous(memory_format=torch.channels_last)


def test_the_results_of_own_statistics_have_mean_0_and_deviation_1(built_root):
    train = mm.load("pbc", root=built_root, split="train")
    found = mm.channel_statistics(train)
    [(images, _)] = mm.loader(train, batch_size=len(train), normalize=found)
    std, mean = torch.std_mean(images.double(), dim=(0, 2, 3), correction=0)
    torch.testing.assert_close(mean, torch.zeros(3).double(), rtol=0, atol=1e-5)
    torch.testing.assert_close(std, torch.ones(3).double(), rtol=0, atol=1e-5)


def test_results_that_are_kept_stay_what_they_are_whatever_comes_after():
    rule = mm.Normalize((MEAN, STD))
    batches = [images_of(batch, seed=batch) for batch in (5, 5, 2, 7, 5, 2)]
    kept = [rule(batch) for batch in batches]
    for batch, found in zip(batches, kept, strict=True):
        close(found, formula(batch, (MEAN, STD), 3, False))


def test_memory_is_kept_for_full_batches_and_for_the_last_of_an_epoch_but_not_for_every_shape():
    rule = mm.Normalize()

    def epoch():
        for batch in (6, 6, 2):
            rule(images_of(batch))
        return rule._pools

    assert epoch() == epoch() == {images_of(batch).shape: rule._pools[images_of(batch).shape] for batch in (6, 2)}
    for batch in range(1, 9):
        rule(images_of(batch))
    assert len(rule._pools) == 2


def test_threads_may_share_it():
    rule = mm.Normalize((MEAN, STD))
    batches = [images_of(batch, seed=batch) for batch in (1, 2, 3, 4)]
    expected = [rule(batch).clone() for batch in batches]
    wrong = []

    def work(turn):
        for round_ in range(100):
            number = (turn + round_) % len(batches)
            try:
                if not torch.equal(rule(batches[number]), expected[number]):
                    wrong.append(number)
            except Exception as error:  # noqa: BLE001 - told in the main thread
                wrong.append(error)

    threads = [threading.Thread(target=work, args=(turn,)) for turn in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# A part of models


class Model(nn.Module):
    def __init__(self, statistics="imagenet"):
        super().__init__()
        self.normalize = mm.Normalize(statistics)
        self.rest = nn.Conv2d(3, 2, 3)

    def forward(self, images):
        return self.rest(self.normalize(images))


def test_it_has_no_state_so_checkpoints_do_not_depend_on_it():
    model = Model()
    assert set(model.state_dict()) == {"rest.weight", "rest.bias"}
    other = Model("half")
    other.load_state_dict(model.state_dict())
    assert other.normalize.mean == (0.5, 0.5, 0.5)
    assert list(model.normalize.parameters()) == []


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda rule: pickle.loads(pickle.dumps(rule))])
def test_copies_do_the_same_and_carry_no_memory(copied):
    rule = mm.Normalize((MEAN, STD), channels=1, rgb=True)
    before = len(pickle.dumps(rule))
    images = images_of(30, 1)
    found = rule(images)
    assert len(pickle.dumps(rule)) == before < 3000
    other = copied(rule)
    assert torch.equal(other(images), found)
    assert other(images).data_ptr() != found.data_ptr()
    assert repr(other) == repr(rule)


def test_a_whole_module_is_saved_and_loaded(tmp_path):
    rule = mm.Normalize("half", channels=1)
    torch.save(rule, tmp_path / "rule.pt")
    images = images_of(2, 1)
    assert torch.equal(torch.load(tmp_path / "rule.pt", weights_only=False)(images), rule(images))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("converted_twice", [False, True])
def test_a_converted_module_rounds_only_its_results(dtype, converted_twice):
    rule = mm.Normalize((MEAN, STD)).to(dtype)
    if converted_twice:
        rule = rule.half().to(dtype)
    images = images_of()
    found = rule(images)
    assert found.dtype is rule.dtype is dtype
    expected = torch.from_numpy(formula(images, (MEAN, STD), 3, False))
    # float16 and bfloat16: within the half of a unit in the last place, and single precision before.
    torch.testing.assert_close(found.double(), expected, rtol=torch.finfo(dtype).eps / 2 + 1e-6, atol=2e-6)
    assert torch.equal(rule.float()(images), mm.Normalize((MEAN, STD))(images))


def test_a_converted_model_runs():
    assert Model().bfloat16()(images_of()).dtype is torch.bfloat16


def test_a_model_that_was_made_without_memory_is_right_once_it_has_some():
    with torch.device("meta"):
        model = Model((MEAN, STD))
    assert model(images_of().to("meta")).shape == (2, 2, 6, 6)
    model.to_empty(device="cpu")
    assert torch.equal(model.normalize(images_of()), mm.Normalize((MEAN, STD))(images_of()))


def test_images_of_another_device_than_the_module_are_normalised_where_they_are():
    found = mm.Normalize()(images_of().to("meta"))
    assert (found.device.type, found.shape, found.dtype) == ("meta", (2, 3, 8, 8), torch.float32)


def test_gradients_pass():
    images = images_of().double().requires_grad_()
    mm.Normalize((MEAN, STD))(images).sum().backward()
    expected = torch.tensor([1 / (255 * std) for std in STD], dtype=torch.float64).view(1, 3, 1, 1)
    torch.testing.assert_close(images.grad, expected.expand(images.shape), rtol=1e-5, atol=0)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_it_compiles_into_one_graph(dtype):
    compiled = torch.compile(mm.Normalize((MEAN, STD)), fullgraph=True, backend="eager")
    for batch in (2, 3):
        images = images_of(batch).to(dtype)
        close(compiled(images), formula(images, (MEAN, STD), 3, False))


def test_it_exports_with_its_statistics():
    exported = torch.export.export(mm.Normalize((MEAN, STD)), (images_of(),)).module()
    images = images_of(seed=1)
    close(exported(images), formula(images, (MEAN, STD), 3, False))


@pytest.mark.filterwarnings("ignore")  # PyTorch wants everyone to export instead
def test_a_trace_has_the_rule_and_not_the_results_of_its_example():
    traced = torch.jit.trace(mm.Normalize((MEAN, STD)), images_of())
    images = images_of(seed=1)
    close(traced(images), formula(images, (MEAN, STD), 3, False))


def test_it_tells_what_it_does():
    assert repr(mm.Normalize()) == (
        "Normalize(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), channels=3, outputs=3)"
    )


# What it refuses


@pytest.mark.parametrize(
    ("shape", "dtype", "hint"),
    [
        ((3, 8, 8), torch.uint8, r"images\[None\]"),
        ((2, 8, 8, 3), torch.uint8, r"images\.permute\(0, 3, 1, 2\)"),
        ((2, 1, 8, 8), torch.uint8, r"channels=1, rgb=True"),
        ((2, 4, 8, 8), torch.uint8, "got torch.uint8 of shape"),
        ((2, 1, 3, 8, 8), torch.uint8, "got torch.uint8 of shape"),
        ((8,), torch.uint8, "got torch.uint8 of shape"),
        ((), torch.float32, "got torch.float32 of shape"),
        ((2, 3, 8, 8), torch.bool, "got torch.bool of shape"),
        ((2, 3, 8, 8), torch.complex64, "got torch.complex64 of shape"),
        ((2, 1, 8, 8), torch.float32, r"channels=1, rgb=True"),
    ],
)
def test_images_of_another_kind_are_refused(shape, dtype, hint):
    with pytest.raises(UsageError, match=rf"expected images of shape \(B, 3, S, S\).*{hint}"):
        mm.Normalize()(torch.zeros(shape, dtype=dtype))


def test_colour_images_for_a_module_of_grey_ones_are_refused():
    with pytest.raises(UsageError, match=r"shape \(B, 1, S, S\)"):
        mm.Normalize(channels=1, rgb=True)(images_of())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", [(0, 8, 8), (2, 0, 0)])
def test_nothing_becomes_nothing(channels, shape):
    images = torch.zeros(shape[0], channels, *shape[1:], dtype=torch.uint8)
    found = mm.Normalize(channels=channels, rgb=True)(images)
    assert (found.shape, found.dtype) == ((shape[0], 3, *shape[1:]), torch.float32)


@pytest.mark.parametrize(
    ("statistics", "message"),
    [
        ("imagnet", "must be one of imagenet, half"),
        (((0.5,), (0.0,)), "std positive"),
        (((0.5,), (-1.0,)), "std positive"),
        (((0.5,), (float("nan"),)), "std positive"),
        (((0.5,), (float("inf"),)), "std positive"),
        (((float("nan"),), (0.5,)), "in 0..1"),
        (((-0.1,), (0.5,)), "in 0..1"),
        (((0.5, 0.5), (0.5, 0.5)), "one or three numbers"),
        (((0.5,), (0.5, 0.5, 0.5)), "one or three numbers"),
        (((123.7, 116.3, 103.5), (58.4, 57.1, 57.4)), "Divide statistics of images in 0..255 by 255"),
        (((0.5,), ("wide",)), "pair"),
        ((((0.5,), (0.5, 0.5)), (0.5,)), "pair"),
        (((0.5,),), "pair"),
        (((0.5,), (0.5,), (0.5,)), "pair"),
        (0.5, "pair"),
        (None, "pair"),
    ],
    ids=str,
)
def test_statistics_that_make_no_sense_are_refused(statistics, message):
    with pytest.raises(UsageError, match=message):
        mm.Normalize(statistics)


@pytest.mark.parametrize("channels", [0, 2, 4, "3"])
def test_channels_are_1_or_3(channels):
    with pytest.raises(UsageError, match="channels must be 1"):
        mm.Normalize(channels=channels)
