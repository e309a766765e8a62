import pytest

from modelgenerator.errors import InvalidSettings
from modelgenerator.service.config import PriceList, ServiceConfig, read_config


def test_nothing_said_is_a_deployment_that_works():
    config = read_config({})
    assert config.database_url == "sqlite:///modelgenerator-data/modelgenerator.sqlite"
    assert config.storage_url == "modelgenerator-data/files"
    assert config.prices == PriceList()


def test_database_and_files_follow_the_data_folder():
    config = read_config({"MODELGENERATOR_DATA_DIR": "/srv/mg"})
    assert config.database_url == "sqlite:////srv/mg/modelgenerator.sqlite"
    assert config.storage_url == "/srv/mg/files"


@pytest.mark.parametrize("name", ["DATABASE_URL", "STORAGE_URL"])
def test_a_plain_name_counts_and_ours_wins(name):
    field = name.lower()
    assert getattr(read_config({name: "theirs"}), field) == "theirs"
    both = read_config({name: "theirs", f"MODELGENERATOR_{name}": "ours"})
    assert getattr(both, field) == "ours"


def test_a_cluster_is_chosen_by_plain_names_too():
    assert (read_config({}).executor, read_config({}).ray_address) == ("local", "auto")
    chosen = read_config({"EXECUTOR": "ray", "RAY_ADDRESS": "10.0.0.1:6379"})
    assert (chosen.executor, chosen.ray_address) == ("ray", "10.0.0.1:6379")
    with pytest.raises(InvalidSettings, match="MODELGENERATOR_EXECUTOR"):
        read_config({"MODELGENERATOR_EXECUTOR": "celery"})


def test_other_plain_names_are_not_ours():
    assert read_config({"PORT": "9"}).port == 8080


@pytest.mark.parametrize(
    ("written", "microdollars"),
    [("0.06", 60_000), ("$1", 1_000_000), ("0", 0), ("0.000001", 1), ("100", 100_000_000)],
)
def test_prices_are_written_in_dollars(written, microdollars):
    config = read_config({"MODELGENERATOR_PRICE_TRAINING_MINUTE": written})
    assert config.prices.training_minute == microdollars


@pytest.mark.parametrize("written", ["0.0000001", "free", "NaN", "Infinity", "-1", "1,5"])
def test_what_is_no_amount_of_dollars_is_refused(written):
    with pytest.raises(InvalidSettings, match="MODELGENERATOR_PRICE_PICTURE"):
        read_config({"MODELGENERATOR_PRICE_PICTURE": written})


@pytest.mark.parametrize(("written", "is_on"), [("on", True), ("off", False), ("0", False)])
def test_billing_is_on_or_off(written, is_on):
    assert read_config({"MODELGENERATOR_BILLING": written}).billing is is_on


def test_an_empty_variable_is_one_that_is_not_there():
    assert read_config({"MODELGENERATOR_PORT": " ", "DATABASE_URL": ""}) == read_config({})


def test_a_name_that_does_not_exist_is_refused_with_what_was_meant():
    with pytest.raises(InvalidSettings, match="Did you mean MODELGENERATOR_DATABASE_URL"):
        read_config({"MODELGENERATOR_DATABASE_URI": "x"})


def test_variables_of_the_command_line_are_no_mistake():
    read_config({"MODELGENERATOR_CACHE": "/x", "MODELGENERATOR_BASE_MODELS": "/y", "HOME": "/z"})


def test_all_faults_are_told_at_once_and_no_secret_is_repeated():
    wrong = {
        "MODELGENERATOR_PORT": "many",
        "MODELGENERATOR_BILLING": "sometimes",
        "MODELGENERATOR_SECRET_KEY": "tooshort",
    }
    with pytest.raises(InvalidSettings) as refused:
        read_config(wrong)
    text = str(refused.value)
    assert all(name in text for name in wrong)
    assert "tooshort" not in text


def test_gpus_are_said_by_kind_and_only_once():
    kinds = {"MODELGENERATOR_CLUSTER_GPUS": "L4=24, H100=80"}
    assert read_config(kinds).cluster_gpus == {"L4": 24, "H100": 80}
    for wrong in ("L4", "L4=", "=24", "L4=24,L4=80", "a b=3", "L4=0", "in(x)=3"):
        with pytest.raises(InvalidSettings, match="CLUSTER_GPUS"):
            read_config({"MODELGENERATOR_CLUSTER_GPUS": wrong})
    with pytest.raises(InvalidSettings, match="set one of them"):
        read_config({**kinds, "MODELGENERATOR_CLUSTER_GPU_GIGABYTES": "24"})


def test_secrets_are_not_shown():
    config = ServiceConfig.model_validate({"secret_key": "k" * 40, "object_generator_key": "abc"})
    assert "kkk" not in repr(config)
    assert "abc" not in repr(config)
