"""Uses the control plane and the archive with boto3 and prints, as JSON, what it got."""
import datetime
import json
import sys

import boto3
import botocore.exceptions

url, epoch = sys.argv[1:]
session = boto3.session.Session("test", "test", region_name="eu-central-1")
control = session.client("kinesisvideo", endpoint_url=url)


def archive(api, stream):
    endpoint = control.get_data_endpoint(APIName=api, StreamName=stream)["DataEndpoint"]
    return session.client("kinesis-video-archived-media", endpoint_url=endpoint)


def selector(first, last):
    at = [datetime.datetime.fromtimestamp(float(epoch) + s, datetime.timezone.utc) for s in (first, last)]
    return {"FragmentSelectorType": "PRODUCER_TIMESTAMP", "TimestampRange": {"StartTimestamp": at[0], "EndTimestamp": at[1]}}


def refusal(call):
    try:
        call()
    except botocore.exceptions.ClientError as e:
        return e.response["Error"]["Code"]
    return None


control.create_stream(StreamName="made", DataRetentionInHours=24)
made = control.describe_stream(StreamName="made")["StreamInfo"]
names = [i["StreamName"] for page in control.get_paginator("list_streams").paginate(PaginationConfig={"PageSize": 2}) for i in page["StreamInfoList"]]
pages = archive("LIST_FRAGMENTS", "cam").get_paginator("list_fragments").paginate(
    StreamName="cam", FragmentSelector=selector(2, 5), PaginationConfig={"PageSize": 3}
)
fragments = sorted((f["ProducerTimestamp"], f["FragmentNumber"]) for page in pages for f in page["Fragments"])
media = archive("GET_MEDIA_FOR_FRAGMENT_LIST", "cam")
payload = media.get_media_for_fragment_list(StreamName="cam", Fragments=[n for _, n in fragments[:2]])["Payload"].read()
error = media.get_media_for_fragment_list(StreamName="cam", Fragments=["1"])["Payload"].read()
json.dump(
    {
        "streams": names,
        "made": [made["Status"], made["DataRetentionInHours"]],
        "fragments": [n for _, n in fragments],
        "no retention": refusal(lambda: archive("LIST_FRAGMENTS", "bare").list_fragments(StreamName="bare", FragmentSelector=selector(0, 1))),
        "bytes": len(payload),
        "of nowhere": "FRAGMENT_NOT_FOUND" if b"FRAGMENT_NOT_FOUND" in error else error.hex(),
    },
    sys.stdout,
)
