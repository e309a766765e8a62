import pytest

from modelgenerator.diffusion.licences import licence_notices


@pytest.mark.parametrize(
    "licence",
    ["flux-1-dev-non-commercial-license", "cc-by-nc-4.0", "NonCommercial"],
)
def test_a_licence_without_commercial_use_is_told(licence: str):
    (notice,) = licence_notices(licence)
    assert (notice.level, notice.setting) == ("info", "baseModel")
    assert f"{licence} does not allow commercial use" in notice.message


def test_a_licence_with_conditions_is_told():
    (notice,) = licence_notices("stabilityai-ai-community")
    assert "only on conditions" in notice.message


@pytest.mark.parametrize("licence", [None, "openrail", "creativeml-openrail-m", "apache-2.0"])
def test_a_free_licence_earns_no_notice(licence: str | None):
    assert list(licence_notices(licence)) == []
