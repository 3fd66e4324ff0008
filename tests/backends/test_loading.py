"""Models as people load them: quantised, offloaded, adapted, compiled (see docs/loading.md).

What needs a package that is not among the `test` extra's is skipped where it is not installed.
"""

import copy
import functools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from packaging.version import Version
from transformers import (
    BitsAndBytesConfig,
    FineGrainedFP8Config,
    LlavaConfig,
    LlavaForConditionalGeneration,
    QuantoConfig,
    TorchAoConfig,
)

from guardrail import SafeCoDe
from guardrail.errors import ModelError
from tests.backends.loaded import answers_as_generate
from tests.contract.guarded import GREEDY, SAMPLED, policy
from tests.families import build, save
from tests.families.weights import spread_weights

WIDTH = 256
"""Of a LLaVA whose layers are wide enough for blocks of 4-bit weights."""

their_warnings = pytest.mark.filterwarnings("ignore")
"""For packages that warn of what is theirs (deprecated torch and transformers calls)."""


@pytest.fixture(autouse=True)
def _random_models_are_readable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guardrail.backends.transformers.labels.READABLE_MASS", 0.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LLaVA's tiny checkpoint."""
    made = tmp_path_factory.mktemp("llava")
    save("llava", made)
    return made


@pytest.fixture(scope="module")
def wide_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, of the width."""
    made = tmp_path_factory.mktemp("wide")
    wide().save_pretrained(made)
    build("llava")[1].save_pretrained(made)
    return made


@functools.cache
def wide() -> Any:
    tiny, _ = build("llava")
    config = tiny.config.to_dict()
    config["text_config"] |= {
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "head_dim": WIDTH // 4,
    }
    config["vision_config"] |= {"hidden_size": WIDTH, "intermediate_size": 2 * WIDTH}
    with torch.random.fork_rng(devices=[]):
        model = LlavaForConditionalGeneration(LlavaConfig(**config))
    spread_weights(model, seed=1)
    return model.eval()


def wrapped(model: Any) -> SafeCoDe:
    return SafeCoDe(model=model, processor=build("llava")[1], policy=policy())


def works(model: Any, *, reference: Any = None) -> None:
    guarded = wrapped(model)
    for settings in (GREEDY, SAMPLED):
        answers_as_generate(guarded, settings, reference=reference)


def kinds(model: Any) -> set[str]:
    """The kinds of layers and weights, to see that something was quantised at all."""
    return {type(each).__name__ for each in (*model.modules(), *model.parameters())}


# Placed by accelerate ----------------------------------------------------------------------------

_PARTS = ("model.vision_tower", "model.multi_modal_projector", "model.language_model", "lm_head")
DEVICE_MAPS: dict[str, Any] = {
    "auto": "auto",
    "cpu": "cpu",
    "all on disk": {"": "disk"},
    "vision on disk": dict.fromkeys(_PARTS, "cpu") | {"model.vision_tower": "disk"},
    "language on disk": dict.fromkeys(_PARTS, "cpu") | dict.fromkeys(_PARTS[2:], "disk"),
}


@pytest.mark.parametrize("device_map", DEVICE_MAPS.values(), ids=DEVICE_MAPS)
def test_device_maps(device_map: Any, folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    guarded = SafeCoDe.from_pretrained(
        folder, policy=policy(), device_map=device_map, offload_folder=tmp_path
    )
    before = [weight.device for weight in guarded.model.parameters()]
    works(guarded.model, reference=build("llava")[0])
    assert [weight.device for weight in guarded.model.parameters()] == before


@pytest.mark.parametrize("name", ["cpu_offload", "disk_offload"])
def test_offload_by_hand(name: str, tmp_path: Path) -> None:
    accelerate = pytest.importorskip("accelerate")
    model = copy.deepcopy(build("llava")[0])
    where = (tmp_path,) if name == "disk_offload" else ()
    model = getattr(accelerate, name)(model, *where, execution_device=torch.device("cpu"))
    assert model.device.type == "meta"
    works(model, reference=build("llava")[0])


# Quantised ---------------------------------------------------------------------------------------


def test_half_precision(folder: Path) -> None:
    guarded = SafeCoDe.from_pretrained(folder, policy=policy(), dtype=torch.bfloat16)
    answers_as_generate(guarded, GREEDY)


@pytest.mark.parametrize(
    ("settings", "layer"),
    [
        ({"load_in_8bit": True}, "Linear8bitLt"),
        ({"load_in_4bit": True}, "Linear4bit"),
        ({"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}, "Linear4bit"),
        ({"load_in_4bit": True, "bnb_4bit_use_double_quant": True}, "Linear4bit"),
    ],
    ids=["8 bit", "4 bit", "nf4", "double"],
)
@their_warnings
def test_bitsandbytes(settings: dict[str, Any], layer: str, wide_folder: Path) -> None:
    pytest.importorskip("bitsandbytes")
    model, _ = loaded(wide_folder, BitsAndBytesConfig(**settings))
    assert layer in kinds(model)
    works(model)


@pytest.mark.parametrize(
    ("name", "weight"),
    [
        ("Int8WeightOnlyConfig", "Int8Tensor"),
        ("Int8DynamicActivationInt8WeightConfig", "Int8Tensor"),
        ("Float8WeightOnlyConfig", "Float8Tensor"),
    ],
)
@their_warnings
def test_torchao(name: str, weight: str, wide_folder: Path) -> None:
    quantization = pytest.importorskip("torchao.quantization")
    model, _ = loaded(wide_folder, TorchAoConfig(getattr(quantization, name)()))
    assert weight in kinds(model)
    works(model)


@their_warnings
def test_torchao_in_place() -> None:
    quantization = pytest.importorskip("torchao.quantization")
    model = copy.deepcopy(wide())
    quantization.quantize_(model, quantization.Int8WeightOnlyConfig())
    assert "Int8Tensor" in kinds(model)
    works(model)


@pytest.mark.parametrize("weights", ["int8", "int4", "float8"])
@their_warnings
def test_quanto(weights: str, wide_folder: Path) -> None:
    pytest.importorskip("optimum.quanto")
    model, _ = loaded(wide_folder, QuantoConfig(weights=weights))
    assert "QLinear" in kinds(model)
    works(model)


@their_warnings
def test_quanto_in_place_leaves_its_layers_in_train_mode() -> None:
    quanto = pytest.importorskip("optimum.quanto")
    model = copy.deepcopy(wide())
    quanto.quantize(model, weights=quanto.qint8)
    quanto.freeze(model)
    with pytest.raises(ModelError, match=r"train mode.*model\.eval\(\)"):
        wrapped(model)
    works(model.eval())


@their_warnings
def test_hqq_layers_of_its_own_making() -> None:
    hqq = pytest.importorskip("hqq.core.quantize")
    model = copy.deepcopy(wide())
    for module in list(model.model.language_model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, torch.nn.Linear):
                config = hqq.BaseQuantizeConfig(nbits=8, group_size=64)
                layer = hqq.HQQLinear(child, config, False, torch.float32, "cpu")
                setattr(module, name, layer)
    works(model.eval())


@their_warnings
def test_gptq(wide_folder: Path, tmp_path: Path) -> None:
    """Packed weights of no meaning, as no package here quantises a LLaVA by GPTQ."""
    pytest.importorskip("gptqmodel", exc_type=ImportError)
    pytest.importorskip("optimum")
    shutil.copytree(wide_folder, tmp_path, dirs_exist_ok=True)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    config["quantization_config"] = {
        "quant_method": "gptq",
        "bits": 4,
        "group_size": 32,
        "desc_act": False,
        "sym": True,
        "checkpoint_format": "gptq",
        "block_name_to_quantize": "model.language_model.layers",
        "backend": "torch",
    }
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    model = SafeCoDe.from_pretrained(tmp_path, policy=policy(), device_map="cpu").model
    assert "TorchLinear" in kinds(model)
    generator = torch.Generator().manual_seed(0)
    for name, packed in model.named_buffers():
        if name.endswith("qweight"):
            packed.random_(-(2**31), 2**31 - 1, generator=generator)
        elif name.endswith("scales"):
            packed.uniform_(0, 0.02, generator=generator)
        elif name.endswith("qzeros"):
            packed.fill_(-0x77777778)  # eight zero points of 8
        elif name.endswith("g_idx"):
            packed.copy_(torch.arange(len(packed)) // 32)
    works(model)


def test_what_cannot_be_loaded_is_one_line(folder: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("FP8 loads here")
    with pytest.raises(ModelError, match=r"cannot load .*FP8") as caught:
        SafeCoDe.from_pretrained(folder, quantization_config=FineGrainedFP8Config())
    assert "\n" not in str(caught.value)


def loaded(folder: Path, quantization: Any) -> tuple[Any, Any]:
    """The model and its processor, by `from_pretrained` as a user would."""
    guarded = SafeCoDe.from_pretrained(folder, policy=policy(), quantization_config=quantization)
    return guarded.model, guarded.processor


# Adapted by PEFT ---------------------------------------------------------------------------------

_TARGETS = ["q_proj", "v_proj"]


@pytest.fixture
def peft() -> Any:
    return pytest.importorskip("peft")


def adapted(peft: Any, **settings: Any) -> Any:
    """LLaVA with LoRA in its layers, drawn so that answers change."""
    config = peft.LoraConfig(target_modules=_TARGETS, **settings)
    return stirred(peft.get_peft_model(copy.deepcopy(build("llava")[0]), config))


@torch.no_grad()
def stirred(model: Any) -> Any:
    generator = torch.Generator().manual_seed(1)
    for name, weight in model.named_parameters():
        if "lora_" in name:
            weight.normal_(0.0, 0.3, generator=generator)
    return model


@pytest.mark.parametrize(
    "settings", [{}, {"task_type": "CAUSAL_LM"}, {"use_dora": True}, {"lora_dropout": 0.5}], ids=str
)
@their_warnings
def test_lora(peft: Any, settings: dict[str, Any]) -> None:
    model = adapted(peft, **settings)
    with pytest.raises(ModelError, match=r"train mode.*model\.eval\(\)"):
        wrapped(model)
    works(model.eval())


@their_warnings
def test_lora_changes_the_answer_and_can_be_switched_off(peft: Any) -> None:
    model = adapted(peft).eval()
    guarded = wrapped(model)
    answers_as_generate(guarded, GREEDY)
    with model.disable_adapter():
        answers_as_generate(guarded, GREEDY, reference=build("llava")[0])


@their_warnings
def test_lora_loaded_and_merged(peft: Any, tmp_path: Path) -> None:
    adapted(peft).save_pretrained(tmp_path)
    model = peft.PeftModel.from_pretrained(copy.deepcopy(build("llava")[0]), tmp_path)
    works(model)  # loaded for inference, it is in eval mode
    works(model.merge_and_unload())


@their_warnings
def test_lora_added_by_transformers(peft: Any) -> None:
    from transformers.integrations.peft import MIN_PEFT_VERSION

    if Version(peft.__version__) < Version(MIN_PEFT_VERSION):
        pytest.skip(f"this transformers adds adapters by PEFT {MIN_PEFT_VERSION} or newer")
    model = copy.deepcopy(build("llava")[0])
    model.add_adapter(peft.LoraConfig(target_modules=_TARGETS))
    with pytest.raises(ModelError, match="train mode"):
        wrapped(stirred(model))
    works(model.eval())


@pytest.mark.parametrize(
    ("kind", "settings"),
    [("PromptTuningConfig", {}), ("PrefixTuningConfig", {})],
)
@their_warnings
def test_prompt_learning_is_turned_away(peft: Any, kind: str, settings: dict[str, Any]) -> None:
    config = getattr(peft, kind)(
        task_type="CAUSAL_LM",
        num_virtual_tokens=4,
        token_dim=32,
        num_transformer_submodules=1,
        num_attention_heads=4,
        num_layers=2,
    )
    model = peft.get_peft_model(copy.deepcopy(build("llava")[0]), config).eval()
    with pytest.raises(ModelError, match=r"acts within PEFT's generate\(\) only"):
        wrapped(model)


@their_warnings
def test_activated_lora_is_turned_away(peft: Any) -> None:
    model = adapted(peft, task_type="CAUSAL_LM", alora_invocation_tokens=[5, 6]).eval()
    with pytest.raises(ModelError, match="'default' is of the kind activated LoRA"):
        wrapped(model)


# Compiled ----------------------------------------------------------------------------------------


def _whole(model: Any, backend: str) -> Any:
    return torch.compile(model, backend=backend)


def _forward(model: Any, backend: str) -> Any:
    model.forward = torch.compile(model.forward, backend=backend)
    return model


def _in_place(model: Any, backend: str) -> Any:
    model.compile(backend=backend)
    return model


@pytest.mark.parametrize("backend", ["eager", pytest.param("inductor", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "compiled", [_whole, _forward, pytest.param(_in_place, marks=pytest.mark.slow)]
)
@their_warnings
def test_compiled(compiled: Callable[[Any, str], Any], backend: str) -> None:
    guarded = wrapped(compiled(copy.deepcopy(build("llava")[0]), backend))
    answers_as_generate(guarded, GREEDY)
    torch.compiler.reset()
