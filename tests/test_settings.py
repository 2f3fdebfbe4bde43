"""Settings from the environment and back."""

import pytest

from fhirserver.settings import SettingsError, load, to_environment


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"authorities": {"A": "urn:oid:1.2"}, "mllp_ports": ("2576", "2577+plain")},
        {
            "profile_policy": {"Patient": "refuse"},
            "required_profiles": {"Patient": ("http://example.org/p",)},
        },
    ],
)
def test_worker_processes_get_the_same_settings(options: dict[str, object]) -> None:
    settings = load(options, {})
    assert load({}, to_environment(settings)) == settings


@pytest.mark.parametrize(
    ("environment", "text"),
    [
        ({"FHIRSERVER_AUTHORITIES": "{"}, "FHIRSERVER_AUTHORITIES is not a JSON object"),
        ({"FHIRSERVER_PROFILE_POLICY": "x"}, "FHIRSERVER_PROFILE_POLICY is not a JSON object"),
        ({"FHIRSERVER_MLLP_PORTS": "2576+ssl"}, "2576+tls"),
        ({"FHIRSERVER_MLLP_PORTS": "2576+tls"}, "mllp_tls_certificate"),
        ({"FHIRSERVER_MLLP_PORTS": "70000"}, "not a port"),
        ({"FHIRSERVER_MLLP_NETWORKS": "10.x"}, "10.0.0.0/8"),
        ({"FHIRSERVER_SOURCES_FILE": "/none.toml"}, "/none.toml is not a file"),
        ({"FHIRSERVER_UNKNOWN_SOURCES": "maybe"}, "'process', 'hold' or 'refuse'"),
    ],
)
def test_faults_are_sentences(environment: dict[str, str], text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load({}, environment)
    assert text in str(caught.value)
