"""Code that stands in the template itself (ZipFile), as the archive that Lambda makes of it.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/cfn-lambda-function-code-cfnresponsemodule.html
"""

from __future__ import annotations

import io
import zipfile
from importlib import resources
from pathlib import Path

from localcloud.functions.runtimes import is_node

LARGEST_SOURCE_BYTES = 4_194_304


def archive_of(source: str, runtime: str) -> bytes:
    """Return the source as `index` with the module that answers CloudFormation; same in, same out."""
    if is_node(runtime):
        module = Path(__file__).with_name("cfn_response.js").read_text()
        return _archive({"index.js": source, "node_modules/cfn-response/index.js": module})
    module = (resources.files("moto") / "awslambda" / "resources" / "cfnresponse.py.txt").read_text()
    return _archive({"index.py": source, "cfnresponse.py": module})


def _archive(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            member = zipfile.ZipInfo(name)  # with a fixed date
            member.external_attr = 0o644 << 16
            archive.writestr(member, text)
    return buffer.getvalue()
