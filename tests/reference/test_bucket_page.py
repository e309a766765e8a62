"""What docs/guide/bucket.md tells an operator to paste is taken by an S3 server."""

import json
import re
from pathlib import Path
from typing import Any

import boto3
import pytest
from tests.bucket import KEYS, make_bucket, s3_server

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "bucket.md"


def pasted() -> list[dict[str, Any]]:
    text = PAGE.read_text().replace("BUCKET", "kept").replace("PREFIX", "files")
    return [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]


def test_the_policy_and_the_lifecycle_rules_are_taken(monkeypatch: pytest.MonkeyPatch):
    policy, rules = pasted()
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    with s3_server() as endpoint:
        make_bucket(endpoint, "kept")
        asked = {"endpoint_url": endpoint, "region_name": KEYS["AWS_REGION"]}
        s3, iam = boto3.client("s3", **asked), boto3.client("iam", **asked)
        s3.put_bucket_lifecycle_configuration(Bucket="kept", LifecycleConfiguration=rules)
        [kept] = s3.get_bucket_lifecycle_configuration(Bucket="kept")["Rules"]
        assert kept["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
        assert kept["Status"] == "Enabled"
        # whose grammar is checked: it refuses an action or a member that there is not
        iam.create_policy(PolicyName="modelgenerator", PolicyDocument=json.dumps(policy))
        s3.close()
        iam.close()
