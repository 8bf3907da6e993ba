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
    "runbook": [
        ("docs/OPERATIONS.md", "STACK=upreel-$ENV ", "STACK=upreel "),
        ("docs/OPERATIONS.md", "make rollback ENV=prod\nmake replay", "make rollback\nmake replay"),
        ("docs/OPERATIONS.md", "make drop ENV=prod", "make discard ENV=prod"),
        ("docs/OPERATIONS.md", "$(out DlqUrl)", "$(out QueueUrl)"),
        ("docs/OPERATIONS.md", "--reserved-concurrent-executions 0", "--reserved-concurrency 0"),
        ("docs/OPERATIONS.md", "aws lambda update-event-source-mapping", "aws lambda change-event-source-mapping"),
        ("docs/OPERATIONS.md", "WebhookSecret=$(openssl", "WebhooksSecret=$(openssl"),
        ("template.yaml", "  ReplayMapping:\n", "  ReplayMappingId:\n"),
        ("Makefile", "rollback: ## Move", "roll-back: ## Move"),
    ],
    "machine": [
        ("statemachines/transcode.asl.json", '"Next": "HasChunks"', '"Next": "Encode"'),
        ("statemachines/transcode.asl.json", '"Default": "Package"', '"Default": "Encode"'),
        ("statemachines/transcode.asl.json", '''      "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": null, "Next": "Failed"}],\n''', ""),
        ("statemachines/transcode.asl.json", '"ResultPath": null, "Next": "Failed"', '"ResultPath": "$.error", "Next": "Failed"'),
        ("statemachines/transcode.asl.json", '"ResultSelector": {},', ""),
        ("statemachines/transcode.asl.json", '"ResultSelector": {"chunks.$": "$.Payload.chunks"},', ""),
        ("statemachines/transcode.asl.json", '"CausePath": "$.error.Cause"', '"CausePath": "$.error.Error"'),
        ("statemachines/transcode.asl.json", '"index.$": "$$.Map.Item.Value"', '"index.$": "$.index"'),
        ("statemachines/transcode.asl.json", '"ResultPath": "$.error", "Next": "Fail"', '"ResultPath": "$", "Next": "Fail"'),
    ],
}  # fmt: skip
