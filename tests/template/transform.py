"""Runs the SAM transform offline, and resolves parameters and conditions of the result as CloudFormation does.

usage: transform.py TEMPLATE RESULT
"""

import functools
import json
import logging
import re
import sys
from pathlib import Path

import boto3
import networkx
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

REGION = "eu-central-1"
PSEUDO = {
    "AWS::StackName": "upreel",
    "AWS::StackId": f"arn:aws:cloudformation:{REGION}:123456789012:stack/upreel/51af3dc0-da77-11e4-872e-1234567db123",
    "AWS::Region": REGION,
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::URLSuffix": "amazonaws.com",
}
NO_VALUE = object()


def load(path):
    return json.loads(json.dumps(yaml_parse(Path(path).read_text())))


def parameters(template, given=()):
    defaults = {name: str(p["Default"]) for name, p in template["Parameters"].items()}
    return {**defaults, **dict(given)}


def definition(path):
    """Loads the definition of a state machine; placeholders for numbers become 7."""
    return json.loads(re.sub(r": \$\{\w+\}", ": 7", Path(path).read_text()))


@functools.cache
def session():
    return boto3.session.Session(region_name=REGION)


def transform(template, given=(), key="artifact"):
    """Returns the transformed template, for these parameters, and with artifacts as after `sam package` under the S3 key `key`."""
    # A copy through JSON resolves YAML aliases as `sam build` does; SAM modifies the template in place.
    template = json.loads(json.dumps(template))
    artifact = {"Bucket": "artifacts", "Key": key}
    template.get("Globals", {}).get("Function", {}).pop("CodeUri", None)
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = artifact
        if resource["Type"] == "AWS::Serverless::LayerVersion":
            resource["Properties"]["ContentUri"] = artifact
        # Inlined, so that cfn-lint checks it.
        if resource["Type"] == "AWS::Serverless::StateMachine":
            resource["Properties"]["Definition"] = definition(resource["Properties"].pop("DefinitionUri"))
    logging.getLogger("samtranslator").setLevel(logging.ERROR)
    translator = Translator({}, Parser(), boto_session=session())
    return translator.translate(template, parameters(template, given), passthrough_metadata=True)


def references(node):
    """Returns the names that a node of a template refers to."""
    if isinstance(node, list):
        return set().union(*map(references, node), set())
    if not isinstance(node, dict):
        return set()
    found = set()
    for key, value in node.items():
        if key == "Ref":
            found.add(value)
        elif key == "Fn::GetAtt":
            found.add(value[0] if isinstance(value, list) else value.split(".")[0])
        elif key == "DependsOn":
            found.update([value] if isinstance(value, str) else value)
        elif key == "Fn::Sub":
            text, own = (value, {}) if isinstance(value, str) else value
            found |= {name for name in re.findall(r"\$\{([A-Za-z0-9]+)", text) if name not in own} | references(own)
        else:
            found |= references(value)
    return found


def cycles(transformed):
    """Returns the dependency cycles among the resources, regardless of conditions."""
    resources = transformed["Resources"]
    graph = networkx.DiGraph((n, used) for n, r in resources.items() for used in references(r) & resources.keys())
    groups = networkx.strongly_connected_components(graph)
    return [sorted(group) for group in groups if len(group) > 1] + [[n] for n in networkx.nodes_with_selfloops(graph)]


class Resolved:
    """A transformed template with parameters and conditions resolved as CloudFormation does.

    Values that are known only after deployment stay text: `${Bucket}`, `${Bucket.Arn}`.
    """

    def __init__(self, transformed, given=()):
        # `given` may have other values of pseudo parameters, too.
        self.values = {**PSEUDO, **parameters(transformed, given)}
        self.conditions = transformed.get("Conditions", {})
        self.resources = {
            name: self.resolve(resource)
            for name, resource in transformed["Resources"].items()
            if "Condition" not in resource or self.holds(resource["Condition"])
        }
        self.outputs = {
            name: self.resolve(output["Value"])
            for name, output in transformed.get("Outputs", {}).items()
            if "Condition" not in output or self.holds(output["Condition"])
        }

    def holds(self, name):
        return self.resolve(self.conditions[name], condition=True)

    def resolve(self, node, condition=False):
        if isinstance(node, list):
            items = (self.resolve(item, condition) for item in node)
            return [item for item in items if item is not NO_VALUE]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((key, value),) = node.items()
            if key == "Ref":
                return NO_VALUE if value == "AWS::NoValue" else self.values.get(value, f"${{{value}}}")
            if key == "Condition" and condition:
                return self.holds(value)
            if key.startswith("Fn::"):
                return self.function(key, value, condition)
        items = ((key, self.resolve(value, condition)) for key, value in node.items())
        return {key: value for key, value in items if value is not NO_VALUE}

    def function(self, key, value, condition):
        if key == "Fn::If":
            return self.resolve(value[1] if self.holds(value[0]) else value[2])
        if key == "Fn::GetAtt":
            return "${" + (value if isinstance(value, str) else ".".join(value)) + "}"
        if key == "Fn::Sub":
            text, own = (value, {}) if isinstance(value, str) else value
            own = {name: self.resolve(item) for name, item in own.items()}
            known = {**self.values, **own}
            return re.sub(r"\$\{([^}!]+)\}", lambda m: str(known.get(m[1], m[0])), text)
        value = self.resolve(value, condition)
        match key:
            case "Fn::Equals":
                return str(value[0]) == str(value[1])
            case "Fn::Not":
                return not value[0]
            case "Fn::And":
                return all(value)
            case "Fn::Or":
                return any(value)
            case "Fn::Join":
                return value[0].join(map(str, value[1]))
            case "Fn::Split":
                return value[1].split(value[0])
            case "Fn::Select":
                return value[1][int(value[0])]
        raise ValueError(f"{key} is not supported")


if __name__ == "__main__":
    source, target = sys.argv[1:]
    result = transform(load(source))
    Path(target).write_text(json.dumps(result, indent=1, default=str))
    for cycle in cycles(result):
        print("dependency cycle:", " -> ".join(cycle))
    sys.exit(bool(cycles(result)))
