"""Milliseconds that an inference would take on boards, from what its hottest blocks cost by llvm-mca's model of their core.

    python estimate.py CORE INFERENCES MORE FEWER LLVM_BIN

CORE is the emulated one; MORE and FEWER are files with what the plugin (instructions.c) printed of two runs, of which the first
had INFERENCES more. Prints a row of a Markdown table for each board of that core.
"""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

# Emulated core: boards with their GHz, and the core by which LLVM models theirs.
BOARDS = {
    "cortex-a53": [("Raspberry Pi Zero 2 W", "Cortex-A53", 1.0, "cortex-a53"), ("Raspberry Pi 3B", "Cortex-A53", 1.2, "cortex-a53")],
    "cortex-a72": [("Jetson Nano", "Cortex-A57", 1.43, "cortex-a57"), ("Raspberry Pi 4B", "Cortex-A72", 1.5, "cortex-a72")],
    "cortex-a76": [("Jetson Orin Nano", "Cortex-A78AE", 1.5, "neoverse-n1"), ("Raspberry Pi 5", "Cortex-A76", 2.4, "neoverse-n1")],
}
ITERATIONS = 100
HOTTEST = 40


def run(program, arguments, text):
    return subprocess.run([program, *arguments], input=text, capture_output=True, text=True, check=True).stdout


def assembly(code, llvm):
    """The instructions of a block, from its bytes in hexadecimal."""
    code = " ".join(f"0x{code[index:index + 2]}" for index in range(0, len(code), 2))
    text = run(llvm / "llvm-mc", ["--disassemble", "--triple=aarch64", "--mattr=+all"], code)
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("."))


def cycles(code, model, llvm):
    """Cycles of one execution of a block among many."""
    arguments = ["--mtriple=aarch64", f"--mcpu={model}", "--mattr=+all", f"--iterations={ITERATIONS}"]
    report = run(llvm / "llvm-mca", arguments, assembly(code, llvm))
    return int(re.search(r"Total Cycles: +(\d+)", report)[1]) / ITERATIONS


def counts(path):
    """What the plugin printed: instructions in all, and those spent in each block, by its code."""
    total, blocks = 0, Counter()
    for line in Path(path).read_text(errors="replace").splitlines():
        words = line.split()
        if words[:1] == ["instructions:"]:
            total = int(words[1])
        elif words[:1] == ["block:"]:
            blocks[words[2]] += int(words[1])
    return total, blocks


def main():
    core, inferences, more, fewer, llvm = sys.argv[1], int(sys.argv[2]), *map(counts, sys.argv[3:5]), Path(sys.argv[5])
    millions = (more[0] - fewer[0]) / inferences / 1e6
    hottest = (more[1] - fewer[1]).most_common(HOTTEST)
    share = sum(count for _, count in hottest) / (more[0] - fewer[0])
    for board, name, clock, model in BOARDS[core]:
        executed = spent = 0
        for code, count in hottest:
            executed += count
            spent += count / (len(code) // 8) * cycles(code, model, llvm)
        per_cycle = executed / spent
        estimate = millions / per_cycle / clock
        print(f"| {board} | {name}, {clock} GHz | {model} | {share:.0%} | {per_cycle:.2f} | {estimate:.0f} ms |")


if __name__ == "__main__":
    main()
