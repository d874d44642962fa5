"""What Helm does with a chart of mixed manifests: install, wait, upgrade by three-way strategic merge, roll back, uninstall;
and the same by server-side apply, as Helm 4 does it. No controller runs, so that this script reports for them."""

import base64
import collections
import gzip
import http.client
import json
import os
import pathlib
import ssl
import string
import sys
import tempfile

import yaml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from check import equal, run, until  # noqa: E402

MANIFESTS = pathlib.Path(__file__).resolve().parent / "manifests"
# Helm's order; what it does not know comes last.
ORDER = ["PriorityClass", "Namespace", "NetworkPolicy", "ResourceQuota", "LimitRange", "PodDisruptionBudget", "ServiceAccount",
         "Secret", "ConfigMap", "StorageClass", "PersistentVolume", "PersistentVolumeClaim", "ClusterRole", "ClusterRoleBinding",
         "Role", "RoleBinding", "Service", "DaemonSet", "Pod", "Deployment", "HorizontalPodAutoscaler", "StatefulSet", "Job",
         "CronJob", "IngressClass", "Ingress", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"]
# By which field the elements of these lists are the same; every other list is one value.
KEYS = {"containers": "name", "initContainers": "name", "env": "name", "volumes": "name", "imagePullSecrets": "name",
        "volumeMounts": "mountPath", "topologySpreadConstraints": "topologyKey", "webhooks": "name"}
PORTS = {"Service": "port", "Deployment": "containerPort", "StatefulSet": "containerPort", "DaemonSet": "containerPort",
         "Pod": "containerPort", "Job": "containerPort", "CronJob": "containerPort"}

Answer = collections.namedtuple("Answer", "code body")


class Cluster:
    """One connection with the client certificate of the kubeconfig."""

    def __init__(self, kubeconfig):
        config = yaml.safe_load(pathlib.Path(kubeconfig).read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
        with tempfile.NamedTemporaryFile("wb") as pair:
            pair.write(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
            pair.flush()
            context.load_cert_chain(pair.name)
        host = cluster["server"].removeprefix("https://")
        self.connection = http.client.HTTPSConnection(host, context=context, timeout=20)
        self.resources = {}

    def ask(self, method, path, body=None, kind="application/json"):
        headers = {"Accept": "application/json"} | ({"Content-Type": kind} if body is not None else {})
        self.connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = self.connection.getresponse()
        return Answer(response.status, json.loads(response.read()))

    def path(self, item, collection=False):
        """Where an object lives, by discovery."""
        version = item["apiVersion"]
        if version not in self.resources:
            listed = self.ask("GET", ("/api/" if version == "v1" else "/apis/") + version).body["resources"]
            self.resources[version] = {r["kind"]: r for r in listed if "/" not in r["name"]}
        resource = self.resources[version][item["kind"]]
        place = f"/namespaces/{item['metadata']['namespace']}" if resource["namespaced"] else ""
        base = ("/api/" if version == "v1" else "/apis/") + version + place + "/" + resource["name"]
        return base if collection else base + "/" + item["metadata"]["name"]

    def get(self, item):
        return self.ask("GET", self.path(item))

    def must(self, code, method, path, *rest):
        answer = self.ask(method, path, *rest)
        assert answer.code == code, f"{method} {path}: {answer.code} {json.dumps(answer.body)}"
        return answer.body


CLUSTER = Cluster(os.environ["KUBECONFIG"])
RANK = {kind: rank for rank, kind in enumerate(ORDER)}
NAMESPACED_NOT = {"Namespace", "PriorityClass", "RuntimeClass", "ClusterRole", "ClusterRoleBinding", "StorageClass",
                  "PersistentVolume", "IngressClass", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"}


def chart(release, version, image="nginx:1.27"):
    """The manifests of one version, in the order in which they are made, with Helm's labels and annotations."""
    values = {"release": release, "namespace": release, "version": version, "image": image}
    items = []
    for file in sorted(MANIFESTS.glob("*.yaml")):
        items += yaml.safe_load_all(string.Template(file.read_text()).substitute(values))
    items = [item for item in items if item["metadata"].get("annotations", {}).get("only", version) == version]
    for item in items:
        meta = item["metadata"]
        meta.setdefault("labels", {})["app.kubernetes.io/managed-by"] = "Helm"
        meta.setdefault("annotations", {}).update({"meta.helm.sh/release-name": release, "meta.helm.sh/release-namespace": release})
        if item["kind"] not in NAMESPACED_NOT:
            meta["namespace"] = release
    return sorted(items, key=lambda item: RANK.get(item["kind"], len(RANK)))


def same(item):
    return item["apiVersion"], item["kind"], item["metadata"]["name"]


def list_key(field, kind):
    return PORTS.get(kind) if field == "ports" else KEYS.get(field)


def additions(current, wanted, kind):
    """The patch that brings what is wanted, and takes nothing away."""
    patch = {}
    for field, value in wanted.items():
        old = current.get(field)
        key = list_key(field, kind)
        if isinstance(value, dict) and isinstance(old, dict):
            inner = additions(old, value, kind)
            if inner:
                patch[field] = inner
        elif isinstance(value, list) and isinstance(old, list) and key:
            known = {element[key]: element for element in old}
            changed = []
            for element in value:
                inner = additions(known.get(element[key], {}), element, kind)
                if inner:
                    changed.append(inner | {key: element[key]})
            if changed or [e[key] for e in value] != [e[key] for e in old]:
                patch[f"$setElementOrder/{field}"] = [{key: element[key]} for element in value]
                if changed:
                    patch[field] = changed
        elif value != old:
            patch[field] = value
    return patch


def deletions(original, wanted, kind):
    """The patch that takes away what was asked for last time and is no longer."""
    patch = {}
    for field, value in original.items():
        key = list_key(field, kind)
        if field not in wanted:
            patch[field] = None
        elif isinstance(value, dict) and isinstance(wanted[field], dict):
            inner = deletions(value, wanted[field], kind)
            if inner:
                patch[field] = inner
        elif isinstance(value, list) and key:
            kept = {element[key]: element for element in wanted[field]}
            changed = []
            for element in value:
                if element[key] not in kept:
                    changed.append({"$patch": "delete", key: element[key]})
                else:
                    inner = deletions(element, kept[element[key]], kind)
                    if inner:
                        changed.append(inner | {key: element[key]})
            if changed:
                patch[field] = changed
    return patch


def union(gone, more, kind):
    """Deletions and additions in one patch."""
    merged = dict(gone)
    for field, value in more.items():
        mine, key = merged.get(field), list_key(field, kind)
        if isinstance(mine, dict) and isinstance(value, dict):
            merged[field] = union(mine, value, kind)
        elif isinstance(mine, list) and key:
            known = {element[key]: element for element in mine}
            added = [union(known.pop(element[key], {}), element, kind) for element in value]
            merged[field] = list(known.values()) + added
        else:
            merged[field] = value
    return merged


def three_way(original, wanted, current):
    kind = wanted["kind"]
    return union(deletions(original, wanted, kind), additions(current, wanted, kind), kind)


def record(release, revision, status, items):
    """Helm's record of a release: a Secret that holds a zipped JSON."""
    text = base64.b64encode(gzip.compress(json.dumps({"name": release, "version": revision, "manifest": items}).encode()))
    labels = {"owner": "helm", "name": release, "status": status, "version": str(revision)}
    return {"apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1",
            "metadata": {"name": f"sh.helm.release.v1.{release}.v{revision}", "namespace": release, "labels": labels},
            "data": {"release": base64.b64encode(text).decode()}}


def newest(release):
    """The newest record and what it holds."""
    selector = f"/api/v1/namespaces/{release}/secrets?labelSelector=name%3D{release}%2Cowner%3Dhelm"
    listed = CLUSTER.must(200, "GET", selector)["items"]
    assert all(secret["type"] == "helm.sh/release.v1" for secret in listed)
    last = max(listed, key=lambda secret: int(secret["metadata"]["labels"]["version"]))
    return last, json.loads(gzip.decompress(base64.b64decode(base64.b64decode(last["data"]["release"]))))


def install(release):
    items = chart(release, "1")
    equal(len(items) >= 30, True)
    for item in items:
        equal((item["kind"], CLUSTER.get(item).code), (item["kind"], 404))
    made = record(release, 1, "pending-install", items)
    for item in items:
        live = CLUSTER.must(201, "POST", CLUSTER.path(item, collection=True) + "?fieldManager=helm", item)
        assert live["metadata"]["uid"] and live["kind"] == item["kind"]
        if item["kind"] == "Namespace":
            CLUSTER.must(201, "POST", CLUSTER.path(made, collection=True) + "?fieldManager=helm", made)
    finish(release, 1)


def finish(release, revision):
    _, content = newest(release)
    done = record(release, revision, "deployed", content["manifest"])
    CLUSTER.must(200, "PUT", CLUSTER.path(done), done)


def report(item):
    """Says for the controllers that all is well."""
    live = CLUSTER.must(200, "GET", CLUSTER.path(item))
    generation = live["metadata"].get("generation")
    condition = lambda kind: {"type": kind, "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    statuses = {
        "Deployment": {"observedGeneration": generation, "replicas": 2, "readyReplicas": 2, "updatedReplicas": 2,
                       "availableReplicas": 2, "conditions": [condition("Available")]},
        "StatefulSet": {"observedGeneration": generation, "replicas": 1, "readyReplicas": 1, "updatedReplicas": 1,
                        "currentRevision": "r", "updateRevision": "r"},
        "DaemonSet": {"observedGeneration": generation, "desiredNumberScheduled": 1, "currentNumberScheduled": 1,
                      "numberMisscheduled": 0, "numberReady": 1, "updatedNumberScheduled": 1, "numberAvailable": 1},
        "PersistentVolumeClaim": {"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]},
        "Service": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}} if live["spec"].get("type") == "LoadBalancer" else None,
        "Pod": {"phase": "Succeeded"},
    } if "spec" in live else {}
    status = statuses.get(item["kind"])
    if status:
        CLUSTER.must(200, "PATCH", CLUSTER.path(item) + "/status", {"status": status}, "application/merge-patch+json")


def ready(item):
    """Helm's questions, one for each kind that can be waited for."""
    live = CLUSTER.must(200, "GET", CLUSTER.path(item))
    status, spec = live.get("status", {}), live.get("spec", {})
    observed = status.get("observedGeneration", 0) >= live["metadata"].get("generation", 0)
    if item["kind"] == "Deployment":
        return observed and status.get("readyReplicas", 0) >= spec["replicas"]
    if item["kind"] == "StatefulSet":
        return observed and status.get("readyReplicas", 0) == spec["replicas"] and status["updateRevision"] == status["currentRevision"]
    if item["kind"] == "DaemonSet":
        return observed and status.get("numberReady", 0) >= status.get("desiredNumberScheduled", 1)
    if item["kind"] == "PersistentVolumeClaim":
        return status.get("phase") == "Bound"
    if item["kind"] == "Service" and spec.get("type") == "LoadBalancer":
        return bool(status.get("loadBalancer", {}).get("ingress"))
    return True


def all_ready(items):
    waiting = [same(item) for item in items if not ready(item)]
    kinds = {kind for _, kind, _ in waiting}
    assert {"Deployment", "StatefulSet", "DaemonSet", "PersistentVolumeClaim", "Service"} <= kinds, waiting
    for item in items:
        report(item)
    until("all is ready", lambda: all(ready(item) for item in items))


def change(release, revision, items):
    """An upgrade or a rollback: what each object lacks is patched in, what is new made, what is no longer there deleted."""
    _, before = newest(release)
    was = {same(item): item for item in before["manifest"]}
    pending = record(release, revision, "pending-upgrade", items)
    CLUSTER.must(201, "POST", CLUSTER.path(pending, collection=True) + "?fieldManager=helm", pending)
    touched = []
    for item in items:
        live = CLUSTER.get(item)
        if live.code == 404:
            CLUSTER.must(201, "POST", CLUSTER.path(item, collection=True) + "?fieldManager=helm", item)
            touched.append(same(item))
            continue
        patch = three_way(was.get(same(item), {}), item, live.body)
        if patch:
            after = CLUSTER.must(200, "PATCH", CLUSTER.path(item) + "?fieldManager=helm", patch, "application/strategic-merge-patch+json")
            if after["metadata"]["resourceVersion"] != live.body["metadata"]["resourceVersion"]:
                touched.append(same(item))
    for identity, item in was.items():
        if identity not in {same(item) for item in items}:
            CLUSTER.must(200, "DELETE", CLUSTER.path(item) + "?propagationPolicy=Background")
    finish(release, revision)
    return touched


def looks_like(release, version, image):
    """What the live objects of a version must be, wherever they came from."""
    live = lambda kind, api, name: CLUSTER.must(200, "GET", CLUSTER.path(
        {"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": release}}))
    other = "2" if version == "1" else "1"
    api = live("Deployment", "apps/v1", f"{release}-api")["spec"]["template"]["spec"]
    equal([container["name"] for container in api["containers"]], ["api", f"side-{version}"])
    first = api["containers"][0]
    equal((first["image"], first["args"]), (image, [f"--version={version}"]))
    equal([variable["name"] for variable in first["env"]], ["RELEASE", f"ONLY_{version}", "PASSWORD", "NODE"])
    # What the server defaulted is still there.
    equal((first["terminationMessagePolicy"], api["schedulerName"]), ("File", "default-scheduler"))
    service = live("Service", "v1", f"{release}-api")["spec"]
    equal([(port["name"], port["port"]) for port in service["ports"]], [("http", 80), (f"port-{version}", 9000 + int(version))])
    equal(live("ConfigMap", "v1", release)["data"]["version"], version)
    equal(base64.b64decode(live("Secret", "v1", release)["data"]["password"]).decode(), f"s3cret-{version}")
    equal(live("CronJob", "batch/v1", release)["spec"]["schedule"], f"*/{version} * * * *")
    paths = live("Ingress", "networking.k8s.io/v1", release)["spec"]["rules"][0]["http"]["paths"]
    equal([path["path"] for path in paths], ["/", f"/v{version}"])
    word = {"1": "first", "2": "second"}
    base = f"/api/v1/namespaces/{release}/configmaps/{release}-"
    equal((CLUSTER.ask("GET", base + word[version]).code, CLUSTER.ask("GET", base + word[other]).code), (200, 404))


def uninstall(release, items):
    for item in reversed(items):
        if item["kind"] != "Namespace":
            answer = CLUSTER.ask("DELETE", CLUSTER.path(item) + "?propagationPolicy=Background")
            assert answer.code in (200, 202), answer
    for item in items:
        if item["kind"] != "Namespace":
            until(f"{item['kind']} {item['metadata']['name']} is gone", lambda: CLUSTER.get(item).code == 404)
    records = f"/api/v1/namespaces/{release}/secrets?labelSelector=owner%3Dhelm"
    CLUSTER.must(200, "DELETE", records)
    namespace = next(item for item in items if item["kind"] == "Namespace")
    CLUSTER.must(200, "DELETE", CLUSTER.path(namespace))
    until("the namespace is gone", lambda: CLUSTER.get(namespace).code == 404)


def installs_and_waits():
    install("shop")
    all_ready(chart("shop", "1"))
    looks_like("shop", "1", "nginx:1.27")


def a_second_upgrade_with_the_same_changes_nothing():
    equal(change("shop", 2, chart("shop", "1")), [])


def upgrades_by_three_way_merge():
    # Somebody scales by hand and adds a label: neither is the chart's.
    scale = CLUSTER.must(200, "PATCH", "/apis/apps/v1/namespaces/shop/statefulsets/shop-db/scale", {"spec": {"replicas": 3}},
                         "application/merge-patch+json")
    equal(scale["spec"]["replicas"], 3)
    CLUSTER.must(200, "PATCH", "/api/v1/namespaces/shop/configmaps/shop", {"metadata": {"labels": {"by": "hand"}}},
                 "application/merge-patch+json")
    touched = change("shop", 3, chart("shop", "2", "nginx:1.28"))
    kinds = collections.Counter(kind for _, kind, _ in touched)
    equal(kinds["PersistentVolume"] + kinds["Role"] + kinds["PriorityClass"] + kinds["Job"], 0)
    looks_like("shop", "2", "nginx:1.28")
    equal(CLUSTER.must(200, "GET", "/api/v1/namespaces/shop/configmaps/shop")["metadata"]["labels"]["by"], "hand")
    # The chart says one replica, and three-way merge brings that back.
    equal(CLUSTER.must(200, "GET", "/apis/apps/v1/namespaces/shop/statefulsets/shop-db")["spec"]["replicas"], 1)


def refuses_what_may_not_change():
    fixed = "/api/v1/namespaces/shop/configmaps/shop-fixed"
    answer = CLUSTER.ask("PATCH", fixed, {"data": {"a": "c"}}, "application/strategic-merge-patch+json")
    equal((answer.code, answer.body["message"]),
          (422, 'ConfigMap "shop-fixed" is invalid: data: Forbidden: field is immutable when `immutable` is set'))
    job = "/apis/batch/v1/namespaces/shop/jobs/shop-migrate"
    answer = CLUSTER.ask("PATCH", job, {"spec": {"template": {"spec": {"containers": [{"name": "migrate", "image": "x"}]}}}},
                         "application/strategic-merge-patch+json")
    equal((answer.code, answer.body["message"].endswith("field is immutable")), (422, True))
    claim = "/apis/apps/v1/namespaces/shop/statefulsets/shop-db"
    answer = CLUSTER.ask("PATCH", claim, {"spec": {"serviceName": "other"}}, "application/strategic-merge-patch+json")
    equal((answer.code, "updates to statefulset spec for fields other than" in answer.body["message"]), (422, True))
    role = "/apis/rbac.authorization.k8s.io/v1/namespaces/shop/rolebindings/shop"
    answer = CLUSTER.ask("PATCH", role, {"roleRef": {"name": "other"}}, "application/strategic-merge-patch+json")
    equal((answer.code, "cannot change roleRef" in answer.body["message"]), (422, True))


def rolls_back():
    change("shop", 4, chart("shop", "1"))
    looks_like("shop", "1", "nginx:1.27")
    _, content = newest("shop")
    equal(content["version"], 4)


def uninstalls():
    uninstall("shop", chart("shop", "1"))


def apply(item, query="fieldManager=helm&force=false"):
    return CLUSTER.ask("PATCH", f"{CLUSTER.path(item)}?{query}", item, "application/apply-patch+yaml")


def apply_all(items):
    versions = {}
    for item in items:
        answer = apply(item)
        assert answer.code in (200, 201), f"{same(item)}: {answer}"
        # What is used of a quota is counted meanwhile.
        if item["kind"] != "ResourceQuota":
            versions[same(item)] = answer.body["metadata"]["resourceVersion"]
    return versions


def installs_by_server_side_apply():
    items = chart("side", "1")
    versions = apply_all(items)
    equal(apply_all(items), versions)
    live = CLUSTER.must(200, "GET", "/apis/apps/v1/namespaces/side/deployments/side-api")
    equal([(entry["manager"], entry["operation"]) for entry in live["metadata"]["managedFields"]], [("helm", "Apply")])
    all_ready(items)
    # What others report is not Helm's, and changes nothing of what it applies.
    again = apply_all(items)
    equal(apply_all(items), again)
    looks_like("side", "1", "nginx:1.27")


def upgrades_and_rolls_back_by_server_side_apply():
    for version, image in (("2", "nginx:1.28"), ("1", "nginx:1.27")):
        wanted = chart("side", version, image)
        names = {same(item) for item in wanted}
        for item in chart("side", "1" if version == "2" else "2"):
            if same(item) not in names:
                CLUSTER.must(200, "DELETE", CLUSTER.path(item))
        versions = apply_all(wanted)
        equal(apply_all(wanted), versions)
        looks_like("side", version, image)


def meets_a_conflict_and_takes_it():
    item = next(item for item in chart("side", "1") if same(item) == ("apps/v1", "Deployment", "side-api"))
    CLUSTER.must(200, "PATCH", CLUSTER.path(item) + "?fieldManager=kubectl-edit", {"spec": {"replicas": 7}}, "application/merge-patch+json")
    answer = apply(item)
    equal((answer.code, answer.body["message"]), (409, 'Apply failed with 1 conflict: conflict with "kubectl-edit" using apps/v1: .spec.replicas'))
    equal(answer.body["details"]["causes"],
          [{"reason": "FieldManagerConflict", "message": 'conflict with "kubectl-edit" using apps/v1', "field": ".spec.replicas"}])
    taken = apply(item, "fieldManager=helm&force=true")
    equal((taken.code, taken.body["spec"]["replicas"]), (200, 2))


def uninstalls_what_was_applied():
    uninstall("side", chart("side", "1"))


run([
    installs_and_waits, a_second_upgrade_with_the_same_changes_nothing, upgrades_by_three_way_merge, refuses_what_may_not_change,
    rolls_back, uninstalls, installs_by_server_side_apply, upgrades_and_rolls_back_by_server_side_apply,
    meets_a_conflict_and_takes_it, uninstalls_what_was_applied,
])
