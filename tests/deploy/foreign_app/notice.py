# ruff: noqa: T201 - its log
import cfnresponse


def handler(event, context):
    """Name the resource as the template does; fail when told to."""
    properties = event["ResourceProperties"]
    print(event["RequestType"], event.get("PhysicalResourceId"), properties["Name"])
    if event["RequestType"] != "Delete" and properties["Broken"] == "true":
        cfnresponse.send(event, context, cfnresponse.FAILED, {}, properties["Name"], reason="told to fail")
        return
    data = {"Text": properties["Text"]}
    cfnresponse.send(event, context, cfnresponse.SUCCESS, data, properties["Name"])
