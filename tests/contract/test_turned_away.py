"""A model that cannot be guided is turned away by its configuration, before weights are loaded."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import transformers

from guardrail import SafeCoDe
from guardrail.backends.transformers.suitability import check_family
from guardrail.errors import ModelError
from tests.contract.guarded import GREEDY, ask, engine
from tests.families import FAMILIES, NOT_SERVED, build, save
from tests.families.declined import BROKEN, DECLINED

T5 = {"model_type": "t5", "d_model": 32, "d_ff": 64, "num_layers": 1, "num_heads": 2}
UNSERVED = {
    "blip-2 around T5": ({"model_type": "blip-2", "text_config": T5}, "encoder-decoder"),
    "instructblip around T5": (
        {"model_type": "instructblip", "text_config": T5},
        "encoder-decoder",
    ),
    "florence2": ({"model_type": "florence2"}, "encoder-decoder"),
    "udop": ({"model_type": "udop"}, "encoder-decoder"),
    "diffusion_gemma": ({"model_type": "diffusion_gemma"}, "diffusion"),
    "llama": ({"model_type": "llama"}, "no multimodal LLM"),
    "qwen2": ({"model_type": "qwen2"}, "no multimodal LLM"),
    "clip": ({"model_type": "clip"}, "no multimodal LLM"),
    "whisper": ({"model_type": "whisper"}, "cannot be guided|no multimodal LLM"),
}


def refuse_to_load(*_: Any, **__: Any) -> Any:
    raise AssertionError("weights or a processor were loaded")


@pytest.mark.parametrize(("config", "why"), UNSERVED.values(), ids=UNSERVED)
def test_unserved_family_is_turned_away_before_anything_is_loaded(
    config: dict[str, Any], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AutoModelForImageTextToText", "AutoProcessor"):
        monkeypatch.setattr(getattr(transformers, name), "from_pretrained", refuse_to_load)
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ModelError, match=why) as caught:
        SafeCoDe.from_pretrained(tmp_path)
    assert config["model_type"] in str(caught.value)
    assert "\n" not in str(caught.value)


MADE_OF: dict[str, dict[str, Any]] = {
    "vision-encoder-decoder": {
        "encoder": {"model_type": "vit"},
        "decoder": {"model_type": "gpt2"},
    }
}
"""What a configuration of these types has to say beyond its type."""


@pytest.mark.parametrize("kind", DECLINED)
def test_declined_type_is_turned_away_with_its_reason(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AutoModelForImageTextToText", "AutoProcessor"):
        monkeypatch.setattr(getattr(transformers, name), "from_pretrained", refuse_to_load)
    config = {"model_type": kind, **MADE_OF.get(kind, {})}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ModelError, match="cannot be guided") as caught:
        SafeCoDe.from_pretrained(tmp_path)
    assert DECLINED[kind].split(":")[0] in str(caught.value)
    model = SimpleNamespace(config=transformers.AutoConfig.from_pretrained(tmp_path))
    with pytest.raises(ModelError, match="cannot be guided"):
        SafeCoDe(model=model, processor=None)  # type: ignore[arg-type]


@pytest.mark.parametrize("family", NOT_SERVED)
def test_saved_encoder_decoder_is_turned_away(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(family, tmp_path)
    monkeypatch.setattr(transformers.AutoModelForImageTextToText, "from_pretrained", refuse_to_load)
    with pytest.raises(ModelError, match="encoder-decoder"):
        SafeCoDe.from_pretrained(tmp_path)
    model, processor = build(family)
    with pytest.raises(ModelError, match="encoder-decoder"):
        SafeCoDe(model=model, processor=processor)


@pytest.mark.parametrize("family", BROKEN)
def test_family_that_transformers_cannot_run_is_turned_away_at_the_first_request(
    family: str,
) -> None:
    with pytest.raises(ModelError, match=f"transformers {transformers.__version__} cannot be"):
        engine(family).answer(ask(family), GREEDY)


@pytest.mark.parametrize("family", FAMILIES)
def test_served_families_pass(family: str) -> None:
    check_family(build(family)[0].config)


def test_what_is_no_model_s_folder_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"config\.json"):
        SafeCoDe.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(ModelError, match="cannot load"):
        SafeCoDe.from_pretrained(tmp_path)
    with pytest.raises(ModelError, match="is a file"):
        SafeCoDe.from_pretrained(tmp_path / "config.json")
