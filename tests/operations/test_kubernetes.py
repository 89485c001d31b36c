"""The manifests: built, valid, and of one mind with the code."""

import runpy
import shutil
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import jsonschema
import kubernetes_validate
import numpy as np
import pytest
import yaml
from audio_files import wav
from monitored import CONFIG, ROOT
from patience import PATIENCE_S
from prometheus_client import CollectorRegistry
from recordings import recordings
from server_process import connected, process, wait_for_readiness

from service.app import create_app
from service.config import PACKAGED_BUNDLE, PACKAGED_BUNDLES, PREFIX, Settings
from service.lifecycle import LAST_ANSWERS_S
from service.metrics import Metrics

FOLDER = ROOT / "deploy" / "kubernetes"
KUBERNETES = "1.34"
COMPONENTS = ("own-bundle", "keys")
OVERLAYS = ("cpu", "gpu", *COMPONENTS)

_TEXT, _NUMBER = {"type": "string"}, {"type": "integer"}


def _object(required, **more):
    properties = required | more
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _list(items):
    return {"type": "array", "items": items, "minItems": 1}


# What we use of the public definitions; a field that is not here is a slip, or belongs here.
CUSTOM = {
    "ScaledObject": _object(
        {
            "scaleTargetRef": _object({"name": _TEXT}, apiVersion=_TEXT, kind=_TEXT),
            "triggers": _list(
                _object(
                    {
                        "type": {"const": "prometheus"},
                        "metadata": _object(
                            {"serverAddress": _TEXT, "query": _TEXT, "threshold": _TEXT}
                        ),
                    },
                    metricType={"enum": ["AverageValue", "Value"]},
                )
            ),
        },
        minReplicaCount=_NUMBER,
        maxReplicaCount=_NUMBER,
        pollingInterval=_NUMBER,
        fallback=_object(
            {"failureThreshold": _NUMBER, "replicas": _NUMBER},
            behavior={"enum": ["static", "currentReplicas", "currentReplicasIfHigher"]},
        ),
        advanced=_object({}, horizontalPodAutoscalerConfig={"type": "object"}),
    ),
    "ServiceMonitor": _object(
        {
            "selector": {"type": "object"},
            "endpoints": _list(
                _object(
                    {"port": _TEXT},
                    path=_TEXT,
                    interval=_TEXT,
                    scrapeTimeout=_TEXT,
                    authorization=_object({"credentials": _object({"name": _TEXT, "key": _TEXT})}),
                )
            ),
        },
        jobLabel=_TEXT,
    ),
    "PrometheusRule": _object(
        {"groups": _list(_object({"name": _TEXT, "rules": _list({"type": "object"})}))}
    ),
}


@pytest.fixture(scope="module", params=OVERLAYS)
def built(request, tmp_path_factory):
    """Every object of an overlay, by kind and name."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed; it brings kustomize")
    overlay = FOLDER / "overlays" / request.param
    if request.param in COMPONENTS:
        overlay = tmp_path_factory.mktemp("kubernetes") / "deploy" / "overlays" / "mine"
        shutil.copytree(FOLDER, overlay.parents[1], dirs_exist_ok=True)
        shutil.copytree(FOLDER / "overlays" / "cpu", overlay)
        with (overlay / "kustomization.yaml").open("a") as file:
            file.write(f"components: [../../{request.param}]\n")
    made = subprocess.run(
        ["kubectl", "kustomize", str(overlay)], capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    objects = list(yaml.safe_load_all(made.stdout))
    return {(one["kind"], one["metadata"]["name"]): one for one in objects}


@pytest.fixture
def pod(built):
    return built["StatefulSet", "wsm-stt"]["spec"]["template"]["spec"]


@pytest.fixture
def container(pod):
    (found,) = pod["containers"]
    return found


def test_every_object_is_valid(built):
    for (kind, _), one in built.items():
        if kind in CUSTOM:
            jsonschema.validate(one["spec"], CUSTOM[kind])
        else:
            kubernetes_validate.validate(one, KUBERNETES, strict=True)
    behavior = built["ScaledObject", "wsm-stt"]["spec"]["advanced"]["horizontalPodAutoscalerConfig"]
    scaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "spec": behavior
        | {"maxReplicas": 1, "scaleTargetRef": {"kind": "StatefulSet", "name": "wsm-stt"}},
    }
    kubernetes_validate.validate(scaler, KUBERNETES, strict=True)


def test_selectors_find_the_pods(built):
    labels = built["StatefulSet", "wsm-stt"]["spec"]["template"]["metadata"]["labels"]
    name = {"app.kubernetes.io/name": "wsm-stt"}
    assert labels.items() >= name.items()
    selectors = [
        built["StatefulSet", "wsm-stt"]["spec"]["selector"]["matchLabels"],
        built["Service", "wsm-stt"]["spec"]["selector"],
        built["Service", "wsm-stt-replicas"]["spec"]["selector"],
        built["PodDisruptionBudget", "wsm-stt"]["spec"]["selector"]["matchLabels"],
        built["NetworkPolicy", "wsm-stt"]["spec"]["podSelector"]["matchLabels"],
    ]
    assert selectors == [name] * 5
    service = built["StatefulSet", "wsm-stt"]["spec"]["serviceName"]
    assert built["Service", service]["spec"]["clusterIP"] == "None"


def test_the_monitor_finds_one_service_whose_name_the_rules_know(built):
    monitor = built["ServiceMonitor", "wsm-stt"]["spec"]
    (wanted,) = monitor["selector"]["matchExpressions"]
    assert wanted["operator"] == "In"
    found = [
        one
        for (kind, _), one in built.items()
        if kind == "Service"
        and one["metadata"].get("labels", {}).get(wanted["key"]) in wanted["values"]
    ]
    assert len(found) == 1
    job = found[0]["metadata"]["labels"][monitor["jobLabel"]]
    assert f'job="{job}"' in (CONFIG / "rules" / "alerts.yml").read_text()
    assert f"job_name: {job}\n" in (CONFIG / "prometheus.yml").read_text()
    (endpoint,) = monitor["endpoints"]
    assert endpoint["port"] in {port["name"] for port in found[0]["spec"]["ports"]}


def test_ports_and_paths_are_those_of_the_code(built, container):
    paths = create_app(Settings(device="cpu")).openapi()["paths"]
    (port,) = container["ports"]
    assert port["containerPort"] == Settings().port
    probes = [container[kind]["httpGet"] for kind in ("startupProbe", "livenessProbe")]
    probes.append(container["readinessProbe"]["httpGet"])
    (scraped,) = built["ServiceMonitor", "wsm-stt"]["spec"]["endpoints"]
    for asked in [*probes, scraped]:
        assert asked["path"] in paths
        assert asked["port"] == port["name"]
    for name in ("wsm-stt", "wsm-stt-replicas"):
        (opened,) = built["Service", name]["spec"]["ports"]
        assert opened["targetPort"] == port["name"]
    (rule,) = built["NetworkPolicy", "wsm-stt"]["spec"]["ingress"]
    assert [one["port"] for one in rule["ports"]] == [port["name"]]
    for dockerfile in (ROOT / "docker").glob("[cg]pu.Dockerfile"):
        assert f"EXPOSE {port['containerPort']}\n" in dockerfile.read_text()


def test_settings_exist_and_are_accepted(container, pod):
    environment = {one["name"]: one["value"] for one in container["env"]}
    assert len(environment) == len(container["env"])
    given = {name.removeprefix(PREFIX).lower(): value for name, value in environment.items()}
    assert given.keys() <= Settings.model_fields.keys()
    Settings(**given)
    copied = [one["command"][-1] for one in pod.get("initContainers", [])]
    packaged = [path.name for path in PACKAGED_BUNDLES.iterdir()]
    assert given["bundle"] in copied + packaged


def test_the_end_of_a_pod_has_time_for_everything(pod, container):
    environment = {one["name"]: one["value"] for one in container["env"]}
    command, asleep_s = container["lifecycle"]["preStop"]["exec"]["command"]
    assert command == "sleep"
    grace_s = float(environment["STT_SHUTDOWN_GRACE_S"])
    assert pod["terminationGracePeriodSeconds"] >= float(asleep_s) + grace_s + LAST_ANSWERS_S + 5


def test_volumes_are_where_the_service_writes(built, pod, container):
    mounts = {one["name"]: one["mountPath"] for one in container["volumeMounts"]}
    dockerfile = (ROOT / "docker" / "cpu.Dockerfile").read_text()
    assert f"STT_JOBS_DIR={mounts['jobs']}" in dockerfile
    assert mounts["tmp"] == "/tmp"
    assert f"--uid {pod['securityContext']['runAsUser']}" in dockerfile
    (claim,) = built["StatefulSet", "wsm-stt"]["spec"]["volumeClaimTemplates"]
    room = int(claim["spec"]["resources"]["requests"]["storage"].removesuffix("Gi")) << 30
    assert room > Settings().max_jobs_bytes
    kept_s = built["Service", "wsm-stt"]["spec"]["sessionAffinityConfig"]["clientIP"]
    assert kept_s["timeoutSeconds"] >= Settings().job_ttl_s


def test_containers_hold_no_rights(pod):
    for one in [*pod["containers"], *pod.get("initContainers", [])]:
        context = one["securityContext"]
        assert context["readOnlyRootFilesystem"]
        assert not context["allowPrivilegeEscalation"]
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert one["resources"]["limits"]["memory"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert not pod["automountServiceAccountToken"]


def test_strangers_are_let_in_on_purpose_or_not_at_all(built, pod, container, request):
    settings = {one["name"]: one["value"] for one in container["env"]}
    endpoint = built["ServiceMonitor", "wsm-stt"]["spec"]["endpoints"][0]
    has_keys = "STT_API_KEYS_FILE" in settings
    assert has_keys == (request.node.callspec.params["built"] == "keys")
    assert has_keys != ("STT_ALLOW_WITHOUT_KEYS" in settings)
    assert has_keys == ("authorization" in endpoint)
    if has_keys:
        (mount,) = [one for one in container["volumeMounts"] if one["name"] == "keys"]
        assert settings["STT_API_KEYS_FILE"].startswith(mount["mountPath"] + "/")
        (volume,) = [one for one in pod["volumes"] if one["name"] == "keys"]
        assert volume["secret"]["defaultMode"] == 0o440


def test_the_gpu_overlay_runs_on_a_gpu(built, container):
    image = container["image"].rpartition(":")[2]
    environment = {one["name"]: one["value"] for one in container["env"]}
    has_gpu = container["resources"]["limits"].get("nvidia.com/gpu") == "1"
    assert has_gpu == (image == "gpu") == (environment.get("STT_DEVICE") == "cuda")


def test_scaling_follows_metrics_that_exist(built):
    registry = CollectorRegistry()
    Metrics(registry)
    known = {family.name for family in registry.collect()}
    scaled = built["ScaledObject", "wsm-stt"]["spec"]
    assert scaled["minReplicaCount"] <= scaled["maxReplicaCount"]
    assert ("StatefulSet", scaled["scaleTargetRef"]["name"]) in built
    followed = []
    for trigger in scaled["triggers"]:
        followed += [name for name in known if f"({name}{{" in trigger["metadata"]["query"]]
        assert trigger["metricType"] == "AverageValue"  # per replica
        assert float(trigger["metadata"]["threshold"]) > 0
    assert len(followed) == len(scaled["triggers"])
    assert set(followed) == {"stt_queue_audio_seconds", "stt_active_streams"}
    down = scaled["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]
    assert down["stabilizationWindowSeconds"] >= 300


def test_rules_are_those_of_compose(built):
    wrapped = runpy.run_path(str(FOLDER / "wrap_rules.py"))["wrapped"]()
    assert (FOLDER / "base" / "prometheusrule.yaml").read_text() == wrapped
    groups = {one["name"]: one for one in built["PrometheusRule", "wsm-stt"]["spec"]["groups"]}
    for path in (CONFIG / "rules").glob("*.yml"):
        for group in yaml.safe_load(path.read_text())["groups"]:
            assert groups[group["name"]] == group


def test_a_pod_that_ends_answers_all_that_its_endpoints_let_in(tmp_path):
    """With a stand-in for Kubernetes: its endpoints forget the pod, then SIGTERM comes."""
    clip = wav(np.tile(recordings()[0].waveform(), 6))
    endpoints_lag_s, asleep_s = 1.0, 1.5
    # Time enough for a busy machine: how long it may take is not what is asked here.
    settings = {"STT_JOBS_DIR": str(tmp_path), "STT_SHUTDOWN_GRACE_S": str(PATIENCE_S)}
    with (
        process(PACKAGED_BUNDLE, **settings) as server,
        connected(server) as client,
        ThreadPoolExecutor(16) as pool,
    ):
        wait_for_readiness(client, 200)
        sent = []
        ending_s = time.monotonic()
        while time.monotonic() < ending_s + endpoints_lag_s:
            sent.append(pool.submit(client.post, "/transcribe", files={"file": clip}))
            time.sleep(0.1)
        time.sleep(asleep_s - endpoints_lag_s)
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=2 * PATIENCE_S)
        assert [one.result().status_code for one in sent] == [200] * len(sent)
        assert server.returncode == 0
