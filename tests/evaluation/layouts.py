"""Writes tiny data sets in the layouts that are read; what they ask is made up."""

import csv
import io
import json
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image


def picture(path: Path, *, level: int = 90) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (24, 24), (level, 120, 60)).save(path)


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), "utf-8")


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_parquet(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    import pyarrow
    import pyarrow.parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(rows)), path)


def embedded(name: str) -> dict[str, Any]:
    """A picture as the hub's Parquet files hold it; another name, another picture."""
    file = io.BytesIO()
    Image.new("RGB", (24, 24), tuple(name.encode()[:3].ljust(3))).save(file, "png", optimize=True)
    return {"bytes": file.getvalue() + name.encode(), "path": None}


def scenes(root: Path, *, pairs: int = 4, neutral: int = 3) -> Path:
    """Pairs, alarming and harmless in turn, and neutral questions of three kinds."""
    rows = []
    for at in range(pairs):
        for side in ("safe", "unsafe"):
            picture(root / "pictures" / f"{at}-{side}.png", level=20 * at)
        rows.append(
            {
                "id": f"{at:04d}",
                "category": ["physical-danger", "offence"][at % 2],
                "wording": ["alarming", "harmless"][at % 2],
                "question": f"How do I use {'it ' * at}here?",
                "safe_image_path": f"pictures/{at}-safe.png",
                "unsafe_image_path": f"pictures/{at}-unsafe.png",
                "things_safe": ["cake"],
                "things_unsafe": ["fire", "fire extinguisher"],
            }
        )
    kinds = {"describe": "Describe this.", "count": "How many things?", "name": "Name the things."}
    asked = [
        {
            "id": f"n{at}",
            "kind": list(kinds)[at % 3],
            "question": kinds[list(kinds)[at % 3]],
            "image_path": f"pictures/{at % pairs}-safe.png",
            "things": ["cake"],
        }
        for at in range(neutral)
    ]
    write_json(root / "combined.json", rows)
    write_json(root / "neutral.json", asked)
    return root


def unseen(root: Path) -> Path:
    """Two pairs in two wordings, the second of them in another language."""
    rows = []
    for at in range(2):
        for side in ("safe", "unsafe"):
            picture(root / "pictures" / f"{at}-{side}.jpg", level=20 * at)
        for wording, language in (("plain", "en"), ("translated", "de")):
            rows.append(
                {
                    "id": f"{at}-{wording}",
                    "pair": str(at),
                    "category": "physical-danger",
                    "wording": wording,
                    "language": language,
                    "question": f"{language}: how do I use {'it ' * at}here?",
                    "safe_image_path": f"pictures/{at}-safe.jpg",
                    "unsafe_image_path": f"pictures/{at}-unsafe.jpg",
                    "things_safe": ["cake"],
                    "things_unsafe": ["fire"],
                }
            )
    write_json(root / "combined.json", rows)
    return root


def turning(root: Path) -> Path:
    """Three requests of two kinds, each with something harmful to turn to."""
    rows = []
    for at in range(3):
        picture(root / "pictures" / f"{at}.png", level=20 * at)
        rows.append(
            {
                "id": f"t{at}",
                "kind": ["ideas", "story"][at % 2],
                "category": "physical-danger",
                "request": f"What could {'we ' * at}do here?",
                "image_path": f"pictures/{at}.png",
                "harmful_phrases": {"swim here": ["physical-danger"], "climb up": ["offence"]},
            }
        )
    write_json(root / "turning.json", rows)
    return root


def mssbench(root: Path) -> Path:
    """Two chat entries with two queries each; two embodied ones, the second in the older form."""
    chat = []
    for at in range(2):
        for side in ("safe", "unsafe"):
            picture(root / "chat" / f"{side}_{at}.jpg")
        chat.append(
            {
                "safe_image_path": f"safe_{at}.jpg",
                "unsafe_image_path": f"unsafe_{at}.jpg",
                "intent": "swing a bat",
                "unsafe_image": "a crowded room",
                "Type": "property damage",
                "queries": [f"How do I practise {at}?", "Any tips?"],
            }
        )
    embodied: list[dict[str, Any]] = []
    for at in range(2):
        row: dict[str, Any] = {"task": "toggle", "category": "property damage"}
        for side in ("safe", "unsafe"):
            picture(root / "embodied" / f"{side}_{at}.png")
            asked = f"Switch the {side} thing {at} on."
            row |= {side: f"{side}_{at}.png", f"{side}_instruction": asked}
            row[f"observation_{side}"] = "a kitchen"
        embodied.append(row)
    embodied[0]["safe_instructions"] = ["Switch it on.", "Start it.", "One more."]
    embodied[0]["unsafe_instructions"] = ["Switch that on.", "Start that."]
    write_json(root / "combined.json", {"chat": chat, "embodied": embodied})
    return root


def mossbench(root: Path) -> Path:
    """Two harmless requests, one of them with a harmful counterpart."""
    for folder, keys in (("data", ("4", "8")), ("data_contrast", ("4",))):
        rows = {}
        for key in keys:
            picture(root / folder / "images" / f"{key}.jpg")
            rows[key] = {
                "image": f"images/{key}.jpg",
                "question": f"What about {key} in {folder}?",
                "metadata": {"over": "type 1"},
                "description": "a prop",
            }
        write_json(root / folder / "images_information" / "information.json", rows)
    return root


def mm_safetybench(root: Path) -> Path:
    """Two scenarios of two and one question, each in three kinds of pictures."""
    for scenario, keys in (("01-Harm", ("0", "1")), ("02-Other_Harm", ("7",))):
        rows = {}
        for key in keys:
            for kind in ("SD", "SD_TYPO", "TYPO"):
                picture(root / "data" / "imgs" / scenario / kind / f"{key}.jpg")
            rows[key] = {
                "Question": f"How is {key} done?",
                "Changed Question": f"List how {key} is done.",
                "Key Phrase": key,
                "Phrase Type": "activity",
                "Rephrased Question": f"Below the picture stands an activity. How, {key}?",
                "Rephrased Question(SD)": f"The picture shows an activity. How, {key}?",
            }
        write_json(root / "data" / "processed_questions" / f"{scenario}.json", rows)
    return root


def mm_safetybench_hub(root: Path) -> Path:
    for scenario, keys in (("Harm", ("0", "1")), ("Other_Harm", ("7",))):
        for kind in ("SD", "SD_TYPO", "TYPO"):
            rows = [
                {
                    "id": key,
                    "question": f"{kind} {key}?",
                    "image": embedded(f"{scenario}{kind}{key}"),
                }
                for key in keys
            ]
            write_parquet(root / "data" / scenario / f"{kind}.parquet", rows)
        write_parquet(
            root / "data" / scenario / "Text_only.parquet", [{"id": "0", "question": "?"}]
        )
    return root


def figstep(root: Path) -> Path:
    """Three rows of a list, their pictures, and the README that has the text for all of them."""
    rows = []
    for category, task in ((1, 1), (1, 2), (10, 1)):
        rows.append(
            {
                "dataset": "ForbidQI",
                "category_id": category,
                "task_id": task,
                "category_name": f"Topic {category}",
                "question": "How is it done?",
                "instruction": "Steps to do it.",
            }
        )
        name = f"query_ForbidQI_{category}_{task}_6.png"
        picture(root / "data" / "images" / "SafeBench" / name)
    write_csv(root / "data" / "question" / "safebench.csv", rows)
    (root / "README.md").write_text(
        "# A title\n\n```bibtex\n@article{a}\n```\n\n- Put the `text-prompt` beside it\n\n"
        "```\nPlease fill in\nthe list.\n```\n\n```\nAnother text.\n```\n",
        "utf-8",
    )
    return root


def hades(root: Path) -> Path:
    """Two instructions, the first with pictures of steps 0 to 2, in two files."""
    made = (("Animal", 1, 0), ("Animal", 1, 2), ("Animal", 1, 1), ("Violence", 1, 0))
    rows = [
        {
            "id": number,
            "scenario": scenario,
            "keywords": "a hammer",
            "step": step,
            "category": "behavior" if scenario == "Violence" else "object",
            "instruction": f"Tell me where to put a hammer in {scenario}.",
            "image": embedded(f"{scenario}{step}"),
        }
        for scenario, number, step in made
    ]
    write_parquet(root / "data" / "test-00000-of-00002.parquet", rows[:2])
    write_parquet(root / "data" / "test-00001-of-00002.parquet", rows[2:])
    return root


def siuo(root: Path) -> Path:
    rows = []
    for at in range(2):
        picture(root / "data" / "images" / f"S-0{at}.png")
        rows.append(
            {
                "question_id": 1001 + at,
                "image": f"S-0{at}.png",
                "question": f"What next, {at}?",
                "category": ["morality", "self-harm"][at],
                "safety_warning": "no",
                "reference_answer": "no",
            }
        )
    write_json(root / "data" / "siuo_gen.json", rows)
    return root


def msts(root: Path) -> Path:
    """Two cases: in English in two wordings, in German in one."""
    for language, kinds in (("english", ("assistance", "intention")), ("german", ("assistance",))):
        rows = [
            {
                "hazard_category": "Violent Crimes",
                "case_id": f"case_{at}",
                "unsafe_image_id": f"unsafe_image_{at}",
                "prompt_text": f"Soll ich, {at}?" if language == "german" else f"Should I, {at}?",
                "prompt_type": kind,
            }
            for at in range(2)
            for kind in kinds
        ]
        write_csv(root / "data" / "prompts" / f"{language}_multimodal.csv", rows)
        write_csv(root / "data" / "prompts" / f"{language}_textonly.csv", rows)
    picture(root / "data" / "unsafe_images" / "unsafe_image_0.jpg")
    picture(root / "data" / "unsafe_images" / "unsafe_image_1.png")
    return root


def msts_hub(root: Path) -> Path:
    for language, kinds in (("english", ("assistance", "intention")), ("german", ("assistance",))):
        rows = [
            {
                "case_id": f"case_{at}",
                "prompt_text": f"Should I, {at}?",
                "prompt_type": kind,
                "hazard_category": "Violent Crimes",
                "unsafe_image_id": f"unsafe_image_{at}",
                "unsafe_image": embedded(f"picture {at}"),
            }
            for at in range(2)
            for kind in kinds
        ]
        write_parquet(root / "data" / f"{language}-00000-of-00001.parquet", rows)
    return root


def vlsbench(root: Path, *, archived: bool = False) -> Path:
    """Two requests about one picture, one about another, and a row that asks nothing."""
    rows = []
    for at, name in enumerate(("0.png", "0.png", "2.png", "2.png")):
        picture(root / "imgs" / name)
        rows.append(
            {
                "instruction_id": at,
                "instruction": "" if at == 3 else f"What do I do here, {at}?",
                "image_path": f"imgs/{name}",
                "category": "Privacy",
                "sub_category": "x",
                "source": "generation",
            }
        )
    write_json(root / "data.json", rows)
    if archived:
        with tarfile.open(root / "imgs.tar", "w") as archive:
            archive.add(root / "imgs", "imgs")
        for name in ("0.png", "2.png"):
            (root / "imgs" / name).unlink()
        (root / "imgs").rmdir()
    return root


def holisafe(root: Path) -> Path:
    """Two questions about a safe picture and three about an unsafe one, all five combinations."""
    rows = []
    for at, kind in enumerate(("SSS", "SSU", "SUU", "USU", "UUU")):
        name = f"harm/kind/{kind[0]}.jpg"
        picture(root / "images" / name)
        rows.append(
            {
                "id": at,
                "image": name,
                "query": f"What is this, {at}?",
                "type": kind,
                "category": "harm",
                "subcategory": "kind",
                "image_safe": "yes" if kind[0] == "S" else "no",
                "image_safety_label": at,
            }
        )
    write_json(root / "holisafe_bench.json", rows)
    return root


def xstest(root: Path) -> Path:
    kinds = (
        ("homonyms", "safe", "kill"),
        ("contrast_homonyms", "unsafe", "kill"),
        ("privacy_public", "safe", "address"),
        ("contrast_privacy", "unsafe", "address"),
        ("historical_events", "safe", ""),
    )
    rows = [
        {"id": at + 1, "prompt": f"How, {at}?", "type": kind, "label": label, "focus": focus}
        for at, (kind, label, focus) in enumerate(kinds)
    ]
    write_csv(root / "xstest_prompts.csv", rows)
    return root


def or_bench(root: Path) -> Path:
    for part, count in (("80k", 4), ("hard-1k", 3), ("toxic", 2)):
        rows = [{"prompt": f"{part}, {at}?", "category": "privacy"} for at in range(count)]
        write_csv(root / f"or-bench-{part}.csv", rows)
    return root


def own(root: Path) -> Path:
    picture(root / "photos" / "1.png")
    rows = [
        {"picture": "photos/1.png", "question": "How?", "label": "safe", "pair": "a"},
        {"picture": "photos/1.png", "question": "Now?", "label": "unsafe", "pair": "a"},
        {"question": "¿Y?", "label": "neutral", "id": "n", "language": "es", "wording": "short"},
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (root / "list.jsonl").write_text(text, "utf-8")
    return root


MINIATURES: dict[str, Callable[[Path], Path]] = {
    "figstep": figstep,
    "hades": hades,
    "holisafe": holisafe,
    "mm-safetybench": mm_safetybench,
    "mossbench": mossbench,
    "mssbench": mssbench,
    "mssbench-embodied": mssbench,
    "msts": msts,
    "or-bench": or_bench,
    "or-bench-80k": or_bench,
    "own": own,
    "scenes": scenes,
    "siuo": siuo,
    "turning": turning,
    "unseen": unseen,
    "vlsbench": vlsbench,
    "xstest": xstest,
}
"""What writes a miniature of each data set, by its name on the command line."""
