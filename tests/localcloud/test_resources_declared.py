"""What handlers say of themselves is true: of the registry, and in the README."""

from __future__ import annotations

from pathlib import Path

import pytest

from localcloud import resources
from localcloud.cloudformation.schemas import schema
from localcloud.resources.__main__ import table

TYPES = resources.implemented()
README = Path(resources.__file__).parents[1] / "README.md"
# CloudFormation knows no properties of these: whatever a template gives goes to the function
FREE = {"AWS::CloudFormation::CustomResource", "Custom::"}


@pytest.mark.parametrize("name", sorted(set(TYPES) - FREE))
def test_a_handler_knows_each_property_once_and_no_other(name):
    handler, known = TYPES[name], schema(name)
    assert known is not None, "CloudFormation has no such type"
    assert handler.supported is not None, "it has to say what has an effect: the rest is refused"
    properties = set(known.body["properties"])
    read_only = {
        pointer.split("/")[2]
        for pointer in known.body.get("readOnlyProperties", [])
        if pointer.count("/") == 2
    }
    declared = handler.supported | handler.no_local_effect
    assert declared - properties == set(), "not the registry's"
    assert declared & read_only == set(), "AWS refuses these"
    assert handler.supported & handler.no_local_effect == set()
    assert set(known.body.get("required", [])) - declared == set(), "nothing could be created"
    assert handler.replaced_by - properties == set()


def test_the_readme_lists_what_has_no_effect():
    text = README.read_text()
    missing = [row for row in table() if row not in text]
    assert missing == [], "python -m localcloud.resources prints the table for README.md"
    listed = [line for line in text.splitlines() if line.startswith(("| AWS::", "| Custom::"))]
    assert [line for line in listed if line not in table()] == [], "no longer true"


def test_a_type_that_is_not_there_is_named():
    for name in ("AWS::EC2::Instance", "AWS::Braket::QuantumTask", "Alexa::ASK::Skill", "nonsense"):
        with pytest.raises(resources.UnknownResourceType, match=name):
            resources.handler(name)
    assert resources.handler("Custom::Anything") is resources.handler("Custom::Else")
