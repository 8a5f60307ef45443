"""Reads a stream with boto3 and prints, as JSON, what it got of each start selector."""
import datetime
import hashlib
import json
import sys

import boto3
import botocore.exceptions

url, name, arn, number, timestamp = sys.argv[1:]
session = boto3.session.Session("test", "test", region_name="eu-central-1")
control = session.client("kinesisvideo", endpoint_url=url)
when = datetime.datetime.fromtimestamp(float(timestamp), datetime.timezone.utc)


def media(stream, selector):
    endpoint = control.get_data_endpoint(APIName="GET_MEDIA", **stream)["DataEndpoint"]
    client = session.client("kinesis-video-media", endpoint_url=endpoint)
    body = client.get_media(StartSelector=selector, **stream)["Payload"]
    return hashlib.sha256(body.read()).hexdigest()


def refusal(call):
    try:
        call()
    except botocore.exceptions.ClientError as e:
        meta = e.response["ResponseMetadata"]
        return [e.response["Error"]["Code"], meta["HTTPStatusCode"], len(meta["RequestId"])]
    return None


out = {
    "EARLIEST": media({"StreamName": name}, {"StartSelectorType": "EARLIEST"}),
    "ARN": media({"StreamARN": arn}, {"StartSelectorType": "EARLIEST"}),
    "NOW": media({"StreamName": name}, {"StartSelectorType": "NOW"}),
    "FRAGMENT_NUMBER": media({"StreamName": name}, {"StartSelectorType": "FRAGMENT_NUMBER", "AfterFragmentNumber": number}),
    "CONTINUATION_TOKEN": media({"StreamName": name}, {"StartSelectorType": "CONTINUATION_TOKEN", "ContinuationToken": number}),
    "PRODUCER_TIMESTAMP": media({"StreamName": name}, {"StartSelectorType": "PRODUCER_TIMESTAMP", "StartTimestamp": when}),
    "missing": refusal(lambda: control.get_data_endpoint(APIName="GET_MEDIA", StreamName="missing")),
    "wrong secret": refusal(
        lambda: boto3.client("kinesisvideo", "eu-central-1", endpoint_url=url, aws_access_key_id="test", aws_secret_access_key="wrong").get_data_endpoint(
            APIName="GET_MEDIA", StreamName=name
        )
    ),
}
json.dump(out, sys.stdout)
