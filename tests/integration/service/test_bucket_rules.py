"""A storage that is none to keep files in is found out before anything is kept there."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from tests.bucket import make_bucket
from tests.faulty_bucket import (
    Answers,
    CutsRequest,
    Fault,
    FaultyBucket,
    Overlooks,
    Request,
    Wanted,
)

from modelgenerator.errors import InvalidSettings
from modelgenerator.service.errors import StorageUnreachable
from modelgenerator.service.store.bucket import INCOMING, BucketFiles

ALWAYS = 1_000


@pytest.fixture
def proxy(s3_endpoint: str) -> Iterator[FaultyBucket]:
    with FaultyBucket(s3_endpoint) as proxy:
        yield proxy


@pytest.fixture
def files(proxy: FaultyBucket) -> BucketFiles:
    name = f"b-{uuid4().hex}"
    make_bucket(proxy.upstream, name)
    return BucketFiles(f"s3://{name}/prefix", endpoint=proxy.address)


def is_put_at_once(request: Request) -> bool:
    return request.method == "PUT" and "partNumber" not in request.path


def is_completed(request: Request) -> bool:
    return request.method == "POST" and "uploadId" in request.path


def is_copied(request: Request) -> bool:
    return request.method == "PUT" and "partNumber" in request.path


def test_a_bucket_that_keeps_files_is_good_and_nothing_stays_behind(files: BucketFiles):
    files.assure_rules()
    assert not [*files.keys(INCOMING)]


@pytest.mark.parametrize(
    ("to", "fault", "told"),
    [
        (is_put_at_once, Overlooks("If-None-Match"), "lets PutObject write over a file"),
        (
            is_completed,
            Overlooks("If-None-Match"),
            "lets UploadPartCopy and CompleteMultipartUpload write over a file",
        ),
        (is_put_at_once, Answers(501, "NotImplemented"), "does not do PutObject"),
        (
            is_copied,
            Answers(411, "MissingContentLength"),
            r"does not do UploadPartCopy and CompleteMultipartUpload \(MissingContentLength\)",
        ),
        (is_put_at_once, Answers(403, "SignatureDoesNotMatch"), r"refuses .*DoesNotMatch.*_KEY"),
        (is_put_at_once, Answers(400, "ExpiredToken"), r"refuses PutObject \(ExpiredToken\).*_KEY"),
        (is_put_at_once, Answers(400, "AuthorizationHeaderMalformed"), "AWS_REGION is not"),
        (is_put_at_once, Answers(301, "PermanentRedirect"), "AWS_REGION is not"),
        (is_put_at_once, Answers(412, "PreconditionFailed"), "does not do PutObject"),
        (is_copied, Answers(404, "NoSuchKey"), r"does not do UploadPartCopy .*\(NoSuchKey\)"),
    ],
)
def test_one_that_writes_over_files_or_never_will_take_any_is_refused(
    proxy: FaultyBucket, files: BucketFiles, to: Wanted, fault: Fault, told: str
):
    proxy.does(fault, times=ALWAYS, to=to)
    with pytest.raises(InvalidSettings, match=told):
        files.assure_rules()
    assert not [*files.keys(INCOMING)]


def test_one_that_is_not_there_is_told_by_its_setting(proxy: FaultyBucket):
    files = BucketFiles("s3://nowhere/prefix", endpoint=proxy.address)
    with pytest.raises(InvalidSettings, match="no bucket of the name in STORAGE_URL"):
        files.assure_rules()


@pytest.mark.parametrize(
    "fault", [Answers(503, "SlowDown"), Answers(400, "RequestTimeout"), CutsRequest(0)]
)
def test_one_that_cannot_be_asked_now_may_be_good(
    proxy: FaultyBucket, files: BucketFiles, fault: Fault
):
    proxy.does(fault, times=ALWAYS)
    with pytest.raises(StorageUnreachable):
        files.assure_rules()
    proxy.is_well()
    files.assure_rules()
