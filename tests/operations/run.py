"""Runs the checks of the operators' scripts and documents, and checks that each finds its mutations.

usage: run.py [CHECK...]

A check is a program in this folder. It gets the root of a source tree, prints the problems that it finds, and fails if
there are any. A mutation puts a fault back into a copy of the tree; the check has to find it.
"""

import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mutations import MUTATIONS

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# What the checks read.
COPIED = ("scripts", "docs", "tests/template", "tests/operations", "tests/smoke.py", "crates/local/src/main.rs", "statemachines", ".github", "Makefile", "samconfig.toml",
          "template.yaml", "bootstrap.yaml")  # fmt: skip


def problems(check, root):
    """Returns what a check prints about a tree; empty if it finds no problem."""
    done = subprocess.run([sys.executable, HERE / f"{check}.py", root], capture_output=True, text=True)
    assert (done.returncode == 0) == (not done.stdout), f"{check}: exit status {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def copy_tree(target):
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)


def mutate(mutation):
    """Returns what the check prints about a tree with the mutation."""
    check, path, old, new = mutation
    with tempfile.TemporaryDirectory() as folder:
        copy_tree(Path(folder))
        file = Path(folder) / path
        text = file.read_text()
        assert old in text, f"{path} does not contain {old!r}"
        file.write_text(text.replace(old, new))
        return problems(check, folder)


def main(chosen):
    checks = [check for check in MUTATIONS if not chosen or check in chosen]
    mutations = [(check, *mutation) for check in checks for mutation in MUTATIONS[check]]
    failed = caught = 0
    with ThreadPoolExecutor(2) as pool:
        for check, found in zip(checks, pool.map(problems, checks, [ROOT] * len(checks))):
            failed += bool(found)
            print(f"{'FAILED' if found else 'ok'}  {check}\n{found}", end="")
        for mutation, found in zip(mutations, pool.map(mutate, mutations)):
            caught += bool(found)
            what = f"{mutation[0]}: {mutation[1]}: {' '.join(mutation[2].split())[:50]} -> {' '.join(mutation[3].split())[:40]}"
            print(f"{'caught' if found else 'MISSED'}  {what}: {found.splitlines()[0][:110] if found else 'no finding'}")
    print(f"{len(checks)} checks, {caught}/{len(mutations)} caught")
    return failed or caught != len(mutations)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
