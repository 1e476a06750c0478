"""What goes into a template stands where it is named, and no text of it ends the page's script."""

import json

import pytest

from minigan.system.templates import embedded, filled


def test_each_name_has_its_part_in_place():
    assert filled("<b>{{a}}</b>{{b}}{{a}} {c}", {"a": "1", "b": "{{a}}", "more": ""}) == "<b>1</b>{{a}}1 {c}"
    with pytest.raises(KeyError, match="missing"):
        filled("{{missing}}", {})


def test_no_text_ends_a_script_and_no_number_is_other_than_json_has_it():
    content = {"title": "</script><script>", "n": 1.5}
    assert "<" not in embedded(content)
    assert json.loads(embedded(content)) == content
    with pytest.raises(ValueError, match="not JSON compliant"):
        embedded({"n": float("nan")})
