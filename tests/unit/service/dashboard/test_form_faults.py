from modelgenerator.errors import InvalidSettings
from modelgenerator.service.dashboard.form_faults import faults_of, with_hint
from modelgenerator.service.errors import InvalidValue


def test_what_helps_is_said_behind_what_is_wrong():
    error = InvalidValue("It is too long.", field="name", hint="Write less.")
    assert faults_of(error, ("name",)) == {"name": "It is too long. Write less."}
    assert with_hint(InvalidValue("It is too long.")) == "It is too long."
    assert with_hint(InvalidSettings("epochs is no number")) == "epochs is no number"
