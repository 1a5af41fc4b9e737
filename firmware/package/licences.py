#!/usr/bin/env python3
"""The licences of the libraries that graphtag's binary contains, with their texts as the libraries bring them.

    python3 firmware/package/licences.py TARGET > TEXT

Lists the crates that are linked for TARGET, each with its licence and where its source is; then each text once, under the
files that hold it. A crate without a text has that of a crate from the same repository, or Apache's, if that is its
licence; another one is an error. The sources are those that cargo has fetched for a build.
"""

import html
import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEXT = re.compile(r"licen[cs]e|copying|copyright|notice|unlicense", re.IGNORECASE)
RULE = "=" * 80


def output(*command):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def linked(target):
    """The packages of others that cargo links into the binary, by name."""
    edges = ["--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}"]
    tree = output("cargo", "tree", "--locked", "--package", "graphtag", "--target", target, *edges)
    names = {tuple(line.split()[:2]) for line in tree.splitlines() if line}
    metadata = output("cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target)
    packages = [package for package in json.loads(metadata)["packages"] if package["source"]]
    return sorted(
        (package for package in packages if (package["name"], f"v{package['version']}") in names),
        key=lambda package: (package["name"], package["version"]),
    )


def text_files(package):
    folder = Path(package["manifest_path"]).parent
    return sorted(path for path in folder.iterdir() if TEXT.match(path.name) and path.is_file())


def texts(packages):
    """Pairs of a crate's file, as `crate/file`, and its text."""
    by_repository = {}
    for package in packages:
        if package["repository"] and text_files(package):
            by_repository.setdefault(package["repository"].removesuffix(".git"), package)
    for package in packages:
        name = f"{package['name']}-{package['version']}"
        holder = package if text_files(package) else by_repository.get((package["repository"] or "").removesuffix(".git"))
        if holder:
            yield from ((f"{name}/{path.name}", path.read_text(errors="replace")) for path in text_files(holder))
        elif package["license"] == "Apache-2.0":
            yield f"{name} (by {', '.join(package['authors'])})", (ROOT / "LICENSE-APACHE").read_text()
        else:
            sys.exit(f"licences.py: {name} brings no text of its licence, {package['license']}, nor does its repository's other crates")


def standard_library():
    """What rustup's documentation says of the licences of Rust's own library."""
    page = Path(output("rustc", "--print", "sysroot").strip(), "share/doc/rust/COPYRIGHT-library.html")
    if not page.exists():
        return "MIT OR Apache-2.0; its parts: https://doc.rust-lang.org/stable/COPYRIGHT-library.html"
    text = re.sub(r"<head>.*?</head>|<[^>]+>", "", page.read_text(), flags=re.DOTALL)
    return re.sub(r"\s*\n(?:[ \t]*\n)+", "\n\n", html.unescape(text)).strip()


def main():
    packages = linked(sys.argv[1])
    print("The graphtag binary contains the Rust standard library and these crates, each under its licence:\n")
    for package in packages:
        print(f"{package['name']} {package['version']}: {package['license']}, {package['repository'] or 'crates.io'}")
    files = {}
    for name, text in texts(packages):
        files.setdefault(" ".join(text.split()), (text, []))[1].append(name)
    for text, names in sorted(files.values(), key=lambda pair: pair[1]):
        print(f"\n{RULE}\n" + "\n".join(names) + f"\n{RULE}\n\n{text.strip()}")
    print(f"\n{RULE}\nThe Rust standard library\n{RULE}\n\n{standard_library()}")


if __name__ == "__main__":
    main()
