"""The region that commands on an AWS account use. `python region.py` prints it, for shell scripts."""

import os
import sys

import botocore.session

MISSING = (
    "No region is set, so it is not known which region of the account to use. Set AWS_REGION (for example: export "
    "AWS_REGION=eu-central-1), or set AWS_PROFILE to a profile that has a region."
)


def region():
    """Returns AWS_REGION, else AWS_DEFAULT_REGION, else the region of the profile; exits if there is none.

    This is the rule of the AWS CLI. boto3 and sam ignore AWS_REGION, so it has to be passed to them.
    """
    found = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    return found or botocore.session.Session().get_config_variable("region") or sys.exit(MISSING)


if __name__ == "__main__":
    print(region())
