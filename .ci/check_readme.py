#!/usr/bin/env python3
"""Runs the commands that README.md shows and compares what they print with what it shows.

Run:  python3 .ci/check_readme.py

A fence marked `console` is a transcript: lines that begin with `$ ` are commands, the lines after each are its
output; a line of three dots stands for any rest. Every command is run from the top of the repository, its standard
output must have the same words, and its decimal numbers may differ by 0.03 (processors round differently); times in
milliseconds may differ freely. Commands in fences marked `sh` need data or time that a clone has not; they are not
run, and neither is the test command, which has a step of its own.

The README must show both TAG and TEST, and each photo of tests/photos must get its labels in TAG's output.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TAG = "cargo run --release -- tag tests/photos"
TEST = "cargo test --workspace"
TOLERANCE = 0.03
DECIMAL = re.compile(r"(?<![\w.])\d+\.\d+(?![\w.])")
MILLISECONDS = re.compile(r'(_ms": ?)[\d.]+|[\d.]+( ms\b)')


def fences(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def transcripts(readme: str) -> list[tuple[str, list[str]]]:
    """Pairs of a command and the lines shown as its output."""
    pairs = []
    for fence in fences(readme, "console"):
        for line in fence.splitlines():
            if line.startswith("$ "):
                pairs.append((line[2:].strip(), []))
            elif pairs:
                pairs[-1][1].append(line)
    return pairs


def matches(shown: str, printed: str) -> bool:
    """Whether two lines have the same words and nearly the same numbers."""
    shown, printed = (MILLISECONDS.sub(r"\1\2", line) for line in (shown, printed))
    numbers = zip(DECIMAL.findall(shown), DECIMAL.findall(printed))
    return DECIMAL.sub("#", shown).split() == DECIMAL.sub("#", printed).split() and all(
        abs(float(a) - float(b)) <= TOLERANCE for a, b in numbers
    )


def differences(command: str, shown: list[str], printed: list[str]) -> list[str]:
    while shown and not shown[-1].strip():
        shown = shown[:-1]
    if not shown:
        return []
    if "..." in shown:
        shown = shown[: shown.index("...")]
        printed = printed[: len(shown)]
    if len(shown) != len(printed):
        return [f"{command}: prints {len(printed)} lines, README.md shows {len(shown)}"]
    return [
        f"{command}:\n  README.md: {a}\n  printed:   {b}"
        for a, b in zip(shown, printed)
        if not matches(a, b)
    ]


def wrong_tags(printed: list[str]) -> list[str]:
    """The photos of tests/photos whose line lacks a label that a person gives them."""
    wrong = []
    labels = json.loads((ROOT / "tests/photos/labels.json").read_text())
    for photo, wanted in labels.items():
        lines = [line for line in printed if line.startswith(f"tests/photos/{photo}")]
        tags = lines[0].removeprefix(f"tests/photos/{photo}") if lines else ""
        missing = [label for label in wanted if not re.search(rf"\b{label}\b", tags)]
        if missing:
            wrong.append(f"{photo}: {', '.join(missing)} missing in {lines or 'the output'}")
    return wrong


def main() -> int:
    readme = (ROOT / "README.md").read_text()
    problems = []
    shown_commands = [command for command, _ in transcripts(readme)]
    for fence in fences(readme, "sh"):
        shown_commands += [line.strip() for line in fence.splitlines()]
    problems += [f"README.md does not show `{command}`" for command in (TAG, TEST) if command not in shown_commands]
    if TAG not in [command for command, _ in transcripts(readme)]:
        problems.append(f"README.md has no transcript of `{TAG}` in a `console` fence")

    for command, shown in transcripts(readme):
        if command == TEST:
            continue
        print(f"$ {command}", flush=True)
        result = subprocess.run(["bash", "-c", command], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        print(result.stdout, flush=True)
        printed = result.stdout.splitlines()
        if result.returncode != 0:
            problems.append(f"{command}: exit status {result.returncode}")
        problems += differences(command, shown, printed)
        if command == TAG:
            problems += wrong_tags(printed)
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
