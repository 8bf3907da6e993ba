"""All commands use the same region: AWS_REGION, else AWS_DEFAULT_REGION, else the profile's; else none of them starts.

usage: regions.py ROOT
"""

import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from botocore.exceptions import BotoCoreError

CONFIG = "[profile eu]\nregion = eu-central-1\n[profile bare]\noutput = json\n"
PROFILES = {None: None, "eu": "eu-central-1", "bare": None}
CASES = [
    {"AWS_PROFILE": profile, "AWS_REGION": region, "AWS_DEFAULT_REGION": default}
    for region, default, profile in itertools.product((None, "ap-south-1"), (None, "us-west-2"), PROFILES)
]
REPORT = '#!/bin/sh\necho "$AWS_REGION $AWS_DEFAULT_REGION $*"\n'


def expected(case):
    return case["AWS_REGION"] or case["AWS_DEFAULT_REGION"] or PROFILES[case["AWS_PROFILE"]]


def tools(root, folder):
    """Returns a copy of the scripts whose sam reports its region and arguments, and touches nothing."""
    shutil.copytree(root / "scripts", folder / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(root / "samconfig.toml", folder)
    (folder / "bin").mkdir()
    (folder / "bin" / "python").symlink_to(sys.executable)
    for path, text in ((folder / "bin" / "sam", REPORT), (folder / "scripts" / "venv.sh", f"#!/bin/sh\necho '{folder}/bin'\n")):
        path.unlink(missing_ok=True)
        path.write_text(text)
        path.chmod(0o755)


def run(folder, variables, *command):
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "AWS_CONFIG_FILE": str(folder / "config"),
                   "AWS_EC2_METADATA_DISABLED": "true", "PYTHONDONTWRITEBYTECODE": "1"}  # fmt: skip
    environment |= {name: value for name, value in variables.items() if value}
    done = subprocess.run([str(part) for part in command], env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout.strip(), done.stderr.strip()


def python_problems(folder):
    """Yields the problems of the Python commands, without a process for each case."""
    sys.path.insert(0, str(folder / "scripts"))
    from stack import Stack

    for case in CASES:
        os.environ.update({name: value for name, value in case.items() if value})
        for name in [name for name, value in case.items() if not value]:
            os.environ.pop(name, None)
        try:
            used = Stack("dev").session.region_name
        except SystemExit as error:
            used = None if "AWS_REGION" in str(error) else error
        except BotoCoreError as error:
            used = error
        if used != expected(case):
            yield f"{case}: ops.py uses {used!r}, expected {expected(case)}"


def shell_problems(folder):
    for case in CASES:
        status, output, error = run(folder, case, folder / "scripts" / "sam.sh", "deploy")
        region = expected(case)
        if region is None and (status == 0 or "AWS_REGION" not in error):
            yield f"{case}: sam.sh starts without a region, or does not say what to set: {output or error}"
        elif region and (status or output != f"{region} {region} deploy"):
            yield f"{case}: sam.sh uses {output or error!r}, expected {region}"
    # A build touches no account, so it needs no region.
    status, output, error = run(folder, {}, folder / "scripts" / "sam.sh", "build")
    if status or not output.endswith(" build"):
        yield f"sam.sh build does not start: {error}"


def source_problems(root):
    """Without --region, sam would use its own rule."""
    for path in ("scripts/ops.py", "scripts/deploy.py"):
        for call in re.findall(r"\[SAM,.*?\]", (root / path).read_text(), re.DOTALL):
            if "region" not in call:
                yield f"{path} runs sam without a region: {call}"


def main(root):
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "config").write_text(CONFIG)
        tools(root, folder)
        os.environ |= {"AWS_CONFIG_FILE": str(folder / "config"), "AWS_EC2_METADATA_DISABLED": "true"}
        # The first problem is enough: each case takes a process.
        found = next(itertools.chain(source_problems(root), python_problems(folder), shell_problems(folder)), None)
    print(found or "", end="\n" if found else "")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
