"""Deletes old versions of the functions and of the FFmpeg layer, which deployments keep for `make rollback`."""

import os
import sys

from incident import of_type

# How many of the newest versions of each function stay.
KEEP = 10


def pages(client, operation, key, **parameters):
    return [found for page in client.get_paginator(operation).paginate(**parameters) for found in page[key]]


def versions(functions, name, keep):
    """Returns two lists of versions of a function, as Lambda describes them: those to keep, and those to delete."""
    found = {v["Version"]: v for v in pages(functions, "list_versions_by_function", "Versions", FunctionName=name)}
    latest = found.pop("$LATEST", None)
    aliases = pages(functions, "list_aliases", "Aliases", FunctionName=name)
    used = {alias["FunctionVersion"] for alias in aliases}
    # During a canary deployment, an alias uses two versions.
    used |= {v for alias in aliases for v in alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})}
    stay = used | set(sorted(found, key=int, reverse=True)[:keep])
    return [latest, *(v for n, v in found.items() if n in stay)], [v for n, v in found.items() if n not in stay]


def layers(functions, arn, staying, keep):
    """Returns the ARNs of the layer's versions that no kept version of a function uses, and that are not among the newest."""
    found = pages(functions, "list_layer_versions", "LayerVersions", LayerName=arn.rsplit(":", 1)[0])
    needed = {layer["Arn"] for v in staying for layer in (v or {}).get("Layers", [])}
    newest = sorted(found, key=lambda layer: layer["Version"], reverse=True)[:keep]
    return [layer["LayerVersionArn"] for layer in found if layer["LayerVersionArn"] not in needed and layer not in newest]


def prune(stack):
    """Shows the old versions, and deletes them after a confirmation. KEEP= is the number of versions that stay."""
    text = os.environ.get("KEEP") or str(KEEP)
    keep = int(text) if text.isdigit() and int(text) else sys.exit(f"KEEP={text}: expected a number of versions, at least 1")
    functions, resources = stack.client("lambda"), stack.resources()
    staying, going, size = [], [], 0
    for name in of_type(resources, "AWS::Lambda::Function").values():
        stay, go = versions(functions, name, keep)
        staying += stay
        going += [(name, v["Version"], v.get("Description", "").split(" ")[0]) for v in go]
        size += sum(v.get("CodeSize", 0) for v in go)
    old = [arn for layer in of_type(resources, "AWS::Lambda::LayerVersion").values() for arn in layers(functions, layer, staying, keep)]
    for name, version, release in going:
        print(f"{name}:{version}  {release}")
    for arn in old:
        print(arn)
    if not going and not old:
        print(f"Nothing to delete: of each function, the newest {keep} versions stay, and those that an alias uses.")
        return
    print(f"A rollback to these {len(going)} versions ({size / 1e6:.0f} MB of code) and {len(old)} layers will be impossible.")
    if os.environ.get("CONFIRM") != stack.name and input(f"Type {stack.name} to delete them: ") != stack.name:
        sys.exit("Nothing was deleted.")
    for name, version, _ in going:
        # Without a qualifier, this call deletes the function.
        functions.delete_function(FunctionName=name, Qualifier=str(int(version)))
    for arn in old:
        functions.delete_layer_version(LayerName=arn.rsplit(":", 1)[0], VersionNumber=int(arn.rsplit(":", 1)[1]))
    print(f"Deleted {len(going)} versions and {len(old)} layers.")
