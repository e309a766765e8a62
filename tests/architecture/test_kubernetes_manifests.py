"""The manifests of Kubernetes are valid and agree with each other: no cluster runs here to tell."""

import copy
import re
import tomllib

import pytest
import yaml
from jsonschema import ValidationError
from tests.manifests import FOLDER, NEWEST, OLDEST, ROOT, check, groups, manifests, one, pods, read

from modelgenerator.service.app.serving import _ANSWER_SECONDS
from modelgenerator.service.config import ELSEWHERE, ServiceConfig, read_config, variables_of
from modelgenerator.service.jobs.dispatcher import DRAIN_SECONDS
from modelgenerator.service.jobs.executors.ray import CLOSE_SECONDS

GUIDE = (ROOT / "docs" / "guide" / "kubernetes.md").read_text()
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
SECRETS = {
    secret["metadata"]["name"]: secret["stringData"]
    for secret in read(FOLDER / "secrets.example.yaml")
}
CONFIGURATION = one("ConfigMap", "modelgenerator")["data"]
OURS = {name for field in ServiceConfig.model_fields for name in variables_of(field)}
OF_OTHERS = {
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "HF_TOKEN"),
    *("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "NVIDIA_DRIVER_CAPABILITIES", "POD_IP"),
}
POD_IDS = [pod.name for pod in pods()]


def called(manifest) -> str:
    return f"{manifest['kind']}-{manifest['metadata']['name']}"


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("manifest", manifests(), ids=called)
def test_every_manifest_is_what_its_schema_says(manifest, version):
    check(manifest, version)


def test_the_example_of_secrets_is_valid_and_never_applied():
    for secret in read(FOLDER / "secrets.example.yaml"):
        check(secret, NEWEST)
    assert "secrets.example.yaml" not in KUSTOMIZATION["resources"]
    assert {path.name for path in FOLDER.glob("*.yaml")} == {
        *KUSTOMIZATION["resources"],
        *("kustomization.yaml", "secrets.example.yaml"),
    }


@pytest.mark.parametrize(
    ("kind", "name", "path"),
    [
        ("Deployment", "serve", ["spec", "template", "spec", "containers", 0]),
        ("Deployment", "serve", ["spec", "template", "spec", "containers", 0, "readinessProbe"]),
        ("Ingress", "serve", ["spec", "rules", 0, "http", "paths", 0, "backend", "service"]),
        ("NetworkPolicy", "ray", ["spec", "ingress", 0, "from", 0]),
        ("RayCluster", "ray", ["metadata"]),
        ("RayCluster", "ray", ["spec"]),
        ("RayCluster", "ray", ["spec", "autoscalerOptions", "resources"]),
        ("RayCluster", "ray", ["spec", "workerGroupSpecs", 1]),
        ("RayCluster", "ray", ["spec", "workerGroupSpecs", 1, "template", "spec"]),
        ("RayCluster", "ray", ["spec", "headGroupSpec", "template", "spec", "containers", 0]),
    ],
)
def test_a_misspelt_field_is_a_fault(kind, name, path):
    manifest = copy.deepcopy(one(kind, name))
    inside = manifest
    for step in path:
        inside = inside[step]
    inside["imagePullPolcy"] = "Always"
    with pytest.raises(ValidationError):
        check(manifest, NEWEST)


def test_the_variables_make_a_config_of_the_service():
    config = read_config({**CONFIGURATION, **SECRETS["service"]})
    assert config.executor == "ray"
    assert config.database_url.startswith("postgresql://")
    named = {*CONFIGURATION, *(name for secret in SECRETS.values() for name in secret)}
    named |= {
        each["name"] for pod in pods() for box in pod.containers for each in box.get("env", [])
    }
    assert named - OURS - OF_OTHERS - set(ELSEWHERE) == {"auth_token"}


@pytest.mark.parametrize("pod", pods(), ids=POD_IDS)
def test_what_a_pod_reads_of_secrets_and_configuration_is_there(pod):
    kept = {"secretKeyRef": SECRETS, "configMapKeyRef": {"modelgenerator": CONFIGURATION}}
    for container in pod.containers:
        for variable in container.get("env", []):
            for source, reference in variable.get("valueFrom", {}).items():
                if source != "fieldRef":
                    assert reference["key"] in kept[source][reference["name"]]
        for source in container.get("envFrom", []):
            assert source == {"configMapRef": {"name": "modelgenerator"}}


def test_machines_that_run_jobs_are_given_no_secret():
    """Ray's token is added by the operator, and the storage's keys by the server for each job."""
    cluster = one("RayCluster", "ray")
    assert "secretKeyRef" not in yaml.safe_dump(cluster)
    assert cluster["spec"]["authOptions"] == {"mode": "token", "secretName": "ray"}
    assert set(SECRETS["ray"]) == {"auth_token"}


def test_the_guide_makes_every_secret_with_what_is_in_it():
    made = {
        words[0]: set(re.findall(r"--from-literal=(\w+)=", words[1]))
        for words in re.findall(r"create secret generic (\w+)((?:.*\\\n)*.*)", GUIDE)
    }
    assert made == {name: set(values) for name, values in SECRETS.items() if name != "hub"}


def test_all_run_one_image_which_is_named_in_one_place():
    (image,) = KUSTOMIZATION["images"]
    assert {box["image"] for pod in pods() for box in pod.containers} == {image["name"]}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert image["newTag"] == project["version"]
    assert f"{image['newName']}:{image['newTag']}" in GUIDE
    for field in ("EXTRAS=postgres,ray", "ARG EXTRAS"):
        assert field in GUIDE + (ROOT / "Dockerfile").read_text()


def test_the_cluster_has_the_version_of_ray_that_is_installed():
    pinned = re.search(r"^ray==(\S+)$", (ROOT / "constraints.txt").read_text(), re.M)
    assert pinned is not None
    assert one("RayCluster", "ray")["spec"]["rayVersion"] == pinned[1]


def test_selectors_find_the_pods_that_are_meant():
    def found(labels) -> set[str]:
        return {pod.name for pod in pods() if labels.items() <= pod.labels.items()}

    machines = {name for name, _ in groups(one("RayCluster", "ray"))}
    deployment, budget = one("Deployment", "serve"), one("PodDisruptionBudget", "serve")
    assert found(deployment["spec"]["selector"]["matchLabels"]) == {"serve"}
    assert found(budget["spec"]["selector"]["matchLabels"]) == {"serve"}
    assert found(one("Service", "serve")["spec"]["selector"]) == {"serve"}
    for policy, meant in (("serve", {"serve"}), ("ray", {"serve", *machines})):
        spec = one("NetworkPolicy", policy)["spec"]
        assert found(spec["podSelector"]["matchLabels"]) == meant
    (rule,) = one("NetworkPolicy", "ray")["spec"]["ingress"]
    (peer,) = rule["from"]
    assert found(peer["podSelector"]["matchLabels"]) == {"serve", *machines}
    assert one("NetworkPolicy", "nobody")["spec"] == {"podSelector": {}, "policyTypes": ["Ingress"]}


def test_ports_lead_from_the_outside_to_the_server_and_from_it_to_the_head():
    (container,) = one("Deployment", "serve")["spec"]["template"]["spec"]["containers"]
    (listening,) = container["ports"]
    (offered,) = one("Service", "serve")["spec"]["ports"]
    (path,) = one("Ingress", "serve")["spec"]["rules"][0]["http"]["paths"]
    (allowed,) = one("NetworkPolicy", "serve")["spec"]["ingress"][0]["ports"]
    assert path["backend"]["service"] == {"name": "serve", "port": {"name": offered["name"]}}
    assert offered["targetPort"] == listening["name"]
    port = ServiceConfig.model_fields["port"].default
    assert listening["containerPort"] == allowed["port"] == port
    cluster = one("RayCluster", "ray")
    head = cluster["spec"]["headGroupSpec"]["template"]["spec"]["containers"][0]
    (of_head,) = head["ports"]
    address = f"{cluster['metadata']['name']}-head-svc:{of_head['containerPort']}"
    assert CONFIGURATION["RAY_ADDRESS"] == address


def test_the_server_has_the_time_to_hand_its_jobs_back():
    spec = one("Deployment", "serve")["spec"]["template"]["spec"]
    sleeps = int(spec["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])
    needed = sleeps + _ANSWER_SECONDS + DRAIN_SECONDS + CLOSE_SECONDS
    assert spec["terminationGracePeriodSeconds"] > needed


def test_the_server_shares_a_cluster_machine_with_the_container_beside_it():
    """Ray looks for its own processes, and speaks to them over sockets in a folder."""
    spec = one("Deployment", "serve")["spec"]["template"]["spec"]
    assert spec["shareProcessNamespace"] is True
    (beside,) = spec["initContainers"]
    assert beside["restartPolicy"] == "Always"
    assert {"--num-cpus=0", "--num-gpus=0"} <= set(beside["args"])
    mounts = {mount["name"]: mount["mountPath"] for mount in beside["volumeMounts"]}
    for mount in spec["containers"][0]["volumeMounts"]:
        assert mounts.get(mount["name"], mount["mountPath"]) == mount["mountPath"]
    assert mounts["ray"] == "/tmp/ray"


def test_machines_come_when_they_are_needed_and_as_many_as_servers_give_jobs():
    cluster = one("RayCluster", "ray")["spec"]
    assert cluster["enableInTreeAutoscaling"] is True
    most = 0
    for group in cluster["workerGroupSpecs"]:
        spec = group["template"]["spec"]
        limits = spec["containers"][0]["resources"]["limits"]
        assert group["minReplicas"] == group["replicas"] <= group["maxReplicas"]
        if gpus := int(limits.get("nvidia.com/gpu", 0)):
            assert group["minReplicas"] == 0
            assert "nodeSelector" in spec
            assert any(each["key"] == "nvidia.com/gpu" for each in spec["tolerations"])
            most += gpus * group["maxReplicas"]
    given = int(CONFIGURATION["MODELGENERATOR_CLUSTER_JOBS"])
    assert given * one("Deployment", "serve")["spec"]["replicas"] == most


def test_machines_are_asked_whether_they_live_at_ports_that_ray_listens_at():
    """What the operator adds otherwise needs Ray's dashboard, which is not installed."""
    cluster = one("RayCluster", "ray")
    for name, group in groups(cluster):
        (container,) = group["template"]["spec"]["containers"]
        port = 6379 if name == "head" else int(group["rayStartParams"]["node-manager-port"])
        for probe in ("readinessProbe", "livenessProbe"):
            assert container[probe]["tcpSocket"] == {"port": port}


@pytest.mark.parametrize("pod", pods(), ids=POD_IDS)
def test_nothing_runs_as_root_or_can_become_more_than_it_is(pod):
    """What Kubernetes calls a restricted pod."""
    whole = pod.spec["securityContext"]
    assert whole["runAsNonRoot"] is True
    assert f"--uid {whole['runAsUser']} " in (ROOT / "Dockerfile").read_text()
    assert whole["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod.containers:
        own = container["securityContext"]
        assert own["allowPrivilegeEscalation"] is False
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert {"requests", "limits"} <= set(container["resources"])
        assert "memory" in container["resources"]["limits"]
    volumes = {volume["name"] for volume in pod.spec.get("volumes", [])}
    assert {
        each["name"] for box in pod.containers for each in box.get("volumeMounts", [])
    } <= volumes
