"""For each check, the faults that it has to find: (file, text, the faulty text)."""

MUTATIONS = {
    "regions": [
        ("scripts/sam.sh", 'export PATH="$build:$sam:$PATH" SAM_CLI_TELEMETRY=0 AWS_REGION="$region" AWS_DEFAULT_REGION="$region"',
         'export PATH="$build:$sam:$PATH" SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION="${AWS_DEFAULT_REGION:-us-east-1}"'),
        ("scripts/sam.sh", "region=$(\"$sam/python\" \"$root/scripts/region.py\")", "region=${AWS_REGION:-us-east-1}"),
        ("scripts/sam.sh", "build | validate | -* | '') region=${AWS_REGION:-${AWS_DEFAULT_REGION:-us-east-1}} ;;", ""),
        ("scripts/region.py", 'os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")',
         'os.environ.get("AWS_DEFAULT_REGION") or os.environ.get("AWS_REGION")'),
        ("scripts/region.py", "or sys.exit(MISSING)", 'or "us-east-1"'),
        ("scripts/stack.py", "Session(region_name=region())", "Session()"),
        ("scripts/ops.py", '"--region", stack.session.region_name, *groups', "*groups"),
    ],
}  # fmt: skip
