"""Makes the embedded model from nothing: `python -m guardrail.embedded.training --work-dir DIR`.

Stages, in order: pictures, tokenizer, see, harden, talk, heldout, requests, examples, export,
evaluate. `see` and `harden` teach the tower what patches show, `talk` the decoder to speak about
them; `requests` are what the model's reference is made of, by `guardrail reference`. The slow ones
leave a file by which they are skipped next time, and resume within themselves. Needs the `train`
extra and npm.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from guardrail.embedded import CHECKPOINT, HELDOUT
from guardrail.embedded.load import load_embedded
from guardrail.embedded.training.card import write_card
from guardrail.embedded.training.copying import soften
from guardrail.embedded.training.evaluate import (
    Asker,
    evaluate_neutral,
    evaluate_pairs,
    naming,
)
from guardrail.embedded.training.evaluate_turning import evaluate_turning
from guardrail.embedded.training.evaluate_wordings import evaluate_wordings
from guardrail.embedded.training.example_pictures import write_examples
from guardrail.embedded.training.export import export
from guardrail.embedded.training.heldout import naming_scenes, write_heldout
from guardrail.embedded.training.heldout_turning import write_turning
from guardrail.embedded.training.model import build_model
from guardrail.embedded.training.optimising import (
    Loss,
    Schedule,
    make_probe,
    see_loss,
    talk_loss,
    train,
)
from guardrail.embedded.training.pictures import load_cutouts, prepare
from guardrail.embedded.training.real_cutouts import load_real
from guardrail.embedded.training.requests import write_requests
from guardrail.embedded.training.scenes import Scene, compose
from guardrail.embedded.training.stream import JUDGED_FROM, Batches
from guardrail.embedded.training.things import PLACES, THINGS
from guardrail.embedded.training.tokenizer import train_tokenizer

logger = logging.getLogger("guardrail.embedded.training")

STAGES = (
    "pictures",
    "tokenizer",
    "see",
    "harden",
    "talk",
    "heldout",
    "requests",
    "examples",
    "export",
    "evaluate",
)


@dataclass(frozen=True)
class Settings:
    """What a run is made with; written beside its results."""

    work_dir: Path
    checkpoint: Path
    heldout: Path
    seed: int
    see_steps: int
    harden_steps: int
    talk_steps: int
    talk_from: int | None
    talk_lr: float
    batch: int
    hidden: int
    layers: int
    naming: int
    real: Path | None
    start: Path | None
    blend: Path | None
    blend_share: float
    device: str


def _tokenizer(settings: Settings) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(settings.work_dir / "tokenizer")


def _fresh_model(settings: Settings) -> Any:
    if settings.start:
        return load_embedded(settings.start)[0].float().to(settings.device)
    model = build_model(
        _tokenizer(settings), seed=settings.seed, hidden=settings.hidden, layers=settings.layers
    )
    return model.to(settings.device)


def run_pictures(settings: Settings) -> None:
    """Fetches the icon sets and cuts them out."""
    prepare(settings.work_dir)


def run_tokenizer(settings: Settings) -> None:
    """Trains the tokenizer; a run that goes on from a checkpoint keeps its."""
    folder = settings.work_dir / "tokenizer"
    if (folder / "tokenizer.json").exists():
        return
    if settings.start:
        load_embedded(settings.start)[1].tokenizer.save_pretrained(folder)
    else:
        train_tokenizer(settings.seed).save_pretrained(folder)


def run_see(settings: Settings) -> None:
    """Teaches the tower and the projector to see, or goes on doing so."""
    model = _fresh_model(settings)
    schedule = Schedule(steps=settings.see_steps, tower_lr=4e-4)
    _train(settings, model, make_probe(model), see_loss, schedule, "see.pt")


def run_harden(settings: Settings) -> None:
    """Goes on from `see`, or from the checkpoint given, with harder pictures, slowly.

    A checkpoint that sees well enough needs none of it: with no steps, nothing is done.
    """
    if settings.start and not settings.harden_steps:
        return
    if settings.start:
        model = _fresh_model(settings)
        probe = make_probe(model)
    else:
        model, probe = _from_state(settings, "see.pt")
    schedule = Schedule(
        steps=settings.harden_steps, start=settings.see_steps, lr=1e-3, tower_lr=2e-4, thaw_at=0,
        decay=0.8,
    )  # fmt: skip
    _train(settings, model, probe, see_loss, schedule, "harden.pt")


def run_talk(settings: Settings) -> None:
    """Teaches the decoder to speak about what the tower sees, or goes on doing so.

    Where a checkpoint was not hardened there is no probe, and what patches show is not learned.
    """
    seeing = 0.5
    if settings.start and not settings.harden_steps:
        model, seeing = _fresh_model(settings), 0.0
        probe = make_probe(model)
    else:
        model, probe = _from_state(settings, "harden.pt")
    if settings.start:
        soften(model.model.language_model)
    begin = JUDGED_FROM // settings.batch if settings.start else 0
    if settings.talk_from is not None:
        begin = settings.talk_from
    schedule = Schedule(steps=settings.talk_steps, start=begin, lr=settings.talk_lr, seeing=seeing)
    _train(settings, model, probe, talk_loss, schedule, "talk.pt")


def _from_state(settings: Settings, name: str) -> tuple[Any, Any]:
    """The averaged model of a stage, and its probe."""
    state = torch.load(settings.work_dir / name, map_location="cpu", weights_only=True)
    model = _fresh_model(settings)
    model.load_state_dict(state["average"])
    probe = make_probe(model)
    probe.load_state_dict(state["probe"])
    return model, probe


def _train(
    settings: Settings, model: Any, probe: Any, loss_of: Loss, schedule: Schedule, name: str
) -> None:
    tokenizer = _tokenizer(settings).backend_tokenizer if loss_of is talk_loss else None
    batches = Batches(settings.work_dir / "cutouts", settings.seed, settings.batch, tokenizer)
    probe = probe.to(settings.device)
    train(model, probe, loss_of, batches, schedule, settings.work_dir / name, bf16=True)


def run_heldout(settings: Settings) -> None:
    """Writes what of the held-out set is not there."""
    if not (settings.heldout / "neutral.json").exists():
        write_heldout(settings.heldout, load_cutouts(settings.work_dir / "cutouts"), seed=0)
    if not (settings.heldout / "turning.json").exists():
        write_turning(settings.heldout)


def run_requests(settings: Settings) -> None:
    """Writes typical requests into the work folder."""
    write_requests(settings.work_dir / "requests", load_cutouts(settings.work_dir / "cutouts"))


def run_examples(settings: Settings) -> None:
    """Writes the example pictures into the work folder."""
    write_examples(settings.work_dir / "examples", load_cutouts(settings.work_dir / "cutouts"))


def run_export(settings: Settings) -> None:
    """Writes the averaged weights as a checkpoint folder, blended with another's if there is one.

    Source: Wortsman et al. 2022, "Model soups" (arXiv 2203.05482): here of two points of one run.
    """
    model = _fresh_model(settings)
    state = torch.load(settings.work_dir / "talk.pt", map_location="cpu", weights_only=True)
    weights = state["average"]
    if settings.blend:
        other = load_embedded(settings.blend)[0].float().state_dict()
        weights = {k: v.lerp(other[k], settings.blend_share) for k, v in weights.items()}
    model.load_state_dict(weights)
    size = export(model, _tokenizer(settings), settings.checkpoint)
    logger.info("exported step %d, %.1f MB", state["step"], size / 1e6)


def speed(asker: Asker) -> dict[str, float]:
    """Seconds to load the model and to answer 32 tokens about one picture."""
    from PIL import Image

    began = time.perf_counter()
    load_embedded(Path(asker.model.name_or_path))
    loaded = time.perf_counter()
    prompt = "<|im_start|>user\n<image>\nDescribe this picture.<|im_end|>\n<|im_start|>assistant\n"
    picture = Image.new("RGB", (640, 480), (90, 120, 160))
    inputs = asker.processor(images=[picture], text=prompt, return_tensors="pt")
    asker.model.generate(**inputs, do_sample=False, min_new_tokens=32, max_new_tokens=32)
    done = time.perf_counter()
    return {"load_s": round(loaded - began, 2), "answer_32_tokens_s": round(done - loaded, 2)}


def real_naming(asker: Asker, folder: Path, seed: int, count: int = 300) -> dict[str, Any]:
    """The naming figure on photographed cut-outs, one to a picture, with the number of them."""
    cutouts, rng = load_real(folder), random.Random(f"real/{seed}")
    scenes = [
        Scene(rng.choice(sorted(PLACES)), (rng.choice(sorted(cutouts)),)) for _ in range(count)
    ]
    pictures = [
        compose(scene, seed=f"real/{i}", cutouts=cutouts, split="real")
        for i, scene in enumerate(scenes)
    ]
    found = naming(asker, pictures, [{scene.things[0]} for scene in scenes])
    return {**found, "cutouts": sum(map(len, cutouts.values()))}


def run_evaluate(settings: Settings) -> None:
    """Measures the exported model and writes `evaluation.json` into its folder."""
    asker = Asker(*load_embedded(settings.checkpoint))
    cutouts = load_cutouts(settings.work_dir / "cutouts")
    scenes = naming_scenes(settings.seed, settings.naming)
    gold = [{THINGS[key].noun for key in scene.things} for scene in scenes]
    results: dict[str, Any] = {"speed": speed(asker), "naming": {}}
    for split in ("heldout", "unseen-style"):
        pictures = [
            compose(scene, seed=f"naming/{i}", cutouts=cutouts, split=split)
            for i, scene in enumerate(scenes)
        ]
        results["naming"][split] = naming(asker, pictures, gold)
        logger.info("%s %s", split, results["naming"][split])
    if settings.real:
        results["naming"]["real"] = real_naming(asker, settings.real, settings.seed)
    results["pairs"] = evaluate_pairs(asker, settings.heldout)
    results["neutral"] = evaluate_neutral(asker, settings.heldout)
    results["wordings"] = evaluate_wordings(asker, settings.heldout)
    results["turning"] = evaluate_turning(asker, settings.heldout)
    text = json.dumps(results, indent=1)
    (settings.checkpoint / "evaluation.json").write_text(text + "\n", "utf-8")
    write_card(settings.checkpoint)
    print(text)


def _parse(argv: list[str] | None) -> tuple[Settings, list[str]]:
    parser = argparse.ArgumentParser(
        prog="python -m guardrail.embedded.training", description="Make the embedded model."
    )
    parser.add_argument("--work-dir", type=Path, required=True, help="where everything is kept")
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT, help="folder to export to")
    parser.add_argument("--heldout", type=Path, default=HELDOUT, help="folder of the held-out set")
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--see-steps", type=int, default=3200, help="optimiser steps of `see`")
    parser.add_argument("--harden-steps", type=int, default=1000, help="steps of `harden`")
    parser.add_argument("--talk-steps", type=int, default=2800, help="optimiser steps of `talk`")
    parser.add_argument("--talk-from", type=int, help="step of the stream that `talk` begins with")
    parser.add_argument("--talk-lr", type=float, default=2e-3, help="peak learning rate of `talk`")
    parser.add_argument("--batch", type=int, default=16, help="pictures per step")
    parser.add_argument("--hidden", type=int, default=256, help="width of the decoder")
    parser.add_argument("--layers", type=int, default=5, help="depth of the decoder")
    parser.add_argument("--naming", type=int, default=500, help="pictures of the naming figure")
    parser.add_argument("--real", type=Path, help="folder of real cut-outs, see real_cutouts.py")
    parser.add_argument(
        "--start", type=Path, help="checkpoint folder to go on from, by `harden` and `talk` alone"
    )
    parser.add_argument("--blend", type=Path, help="checkpoint folder that `export` mixes in")
    parser.add_argument(
        "--blend-share", type=float, default=0.4, help="its share of the weights, from 0 to 1"
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    options = vars(parser.parse_args(argv))
    stages = options.pop("stages")
    return Settings(**options), [stage for stage in STAGES if stage in stages]


def main(argv: list[str] | None = None) -> None:
    """Runs the stages asked for."""
    settings, stages = _parse(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    settings.work_dir.mkdir(parents=True, exist_ok=True)
    plain = {name: str(value) for name, value in asdict(settings).items()}
    (settings.work_dir / "settings.json").write_text(json.dumps(plain, indent=1) + "\n", "utf-8")
    steps = {
        "pictures": run_pictures,
        "tokenizer": run_tokenizer,
        "see": run_see,
        "harden": run_harden,
        "talk": run_talk,
        "heldout": run_heldout,
        "requests": run_requests,
        "examples": run_examples,
        "export": run_export,
        "evaluate": run_evaluate,
    }
    for stage in stages:
        logger.info("stage %s", stage)
        steps[stage](settings)


if __name__ == "__main__":
    main()
