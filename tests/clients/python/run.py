"""The official Python client against a running server: KUBECONFIG says which."""

import base64
import datetime
import json
import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from check import equal, run, until  # noqa: E402
from kubernetes import client, config, dynamic, utils, watch  # noqa: E402
from kubernetes.client.rest import ApiException  # noqa: E402
from kubernetes.dynamic.exceptions import ConflictError, NotFoundError, ResourceNotFoundError  # noqa: E402

config.load_kube_config()
CORE, APPS, BATCH = client.CoreV1Api(), client.AppsV1Api(), client.BatchV1Api()
NAMESPACE = "python"
META = client.V1ObjectMeta


def refused(code, reason, message, call, *args, **named):
    """The call must be refused so; returns the whole Status."""
    try:
        call(*args, **named)
    except ApiException as error:
        status = json.loads(error.body)
        equal((error.status, status["kind"], status["reason"]), (code, "Status", reason))
        assert message in status["message"], status["message"]
        return status
    raise AssertionError(f"not refused: {message}")


def configmap(name, labels=None, **data):
    return client.V1ConfigMap(metadata=META(name=name, labels=labels), data=data)


def template(app, **spec):
    spec = {"containers": [client.V1Container(name="c", image="nginx:1.27")]} | spec
    return client.V1PodTemplateSpec(metadata=META(labels={"app": app}), spec=client.V1PodSpec(**spec))


def versions_and_groups():
    equal(client.VersionApi().get_code().major, "1")
    groups = {group.name: group for group in client.ApisApi().get_api_versions().groups}
    assert "apps" in groups and "batch" in groups, sorted(groups)
    # client-go prefers v2, and the server says so.
    equal(groups["autoscaling"].preferred_version.group_version, "autoscaling/v2")
    names = {resource.name for resource in CORE.get_api_resources().resources}
    assert {"pods", "pods/log", "pods/eviction", "serviceaccounts/token"} <= names, names


def namespace_with_everything_of_its_own():
    CORE.create_namespace(client.V1Namespace(metadata=META(name=NAMESPACE)))
    equal(CORE.read_namespace(NAMESPACE).status.phase, "Active")
    until("its service account is there", lambda: CORE.list_namespaced_service_account(NAMESPACE).items)
    root = until("its root authority is there", lambda: CORE.list_namespaced_config_map(NAMESPACE).items)[0]
    assert root.data["ca.crt"].startswith("-----BEGIN CERTIFICATE"), root.metadata.name


def create_read_replace_delete():
    made = CORE.create_namespaced_config_map(NAMESPACE, configmap("one", a="1"))
    assert made.metadata.uid and isinstance(made.metadata.creation_timestamp, datetime.datetime)
    made.data["b"] = "2"
    replaced = CORE.replace_namespaced_config_map("one", NAMESPACE, made)
    equal(replaced.data, {"a": "1", "b": "2"})
    conflict = refused(409, "Conflict", "the object has been modified", CORE.replace_namespaced_config_map, "one", NAMESPACE, made)
    equal(conflict["details"], {"name": "one", "kind": "configmaps"})
    preconditions = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid="other"))
    refused(409, "Conflict", "the UID in the precondition (other) does not match the UID in record", CORE.delete_namespaced_config_map,
            "one", NAMESPACE, body=preconditions)
    deleted = client.ApiClient().sanitize_for_serialization(CORE.delete_namespaced_config_map("one", NAMESPACE))
    equal((deleted["status"], deleted["details"]["name"], deleted["details"]["uid"]), ("Success", "one", made.metadata.uid))
    refused(404, "NotFound", 'configmaps "one" not found', CORE.read_namespaced_config_map, "one", NAMESPACE)


def error_bodies():
    bad = client.V1Pod(metadata=META(name="Bad_Name"), spec=client.V1PodSpec(containers=[client.V1Container(name="c", image=" ")]))
    status = refused(422, "Invalid", 'Pod "Bad_Name" is invalid', CORE.create_namespaced_pod, NAMESPACE, bad)
    causes = [(cause["reason"], cause["field"]) for cause in status["details"]["causes"]]
    equal(causes, [("FieldValueInvalid", "metadata.name"), ("FieldValueInvalid", "spec.containers[0].image")])
    equal(status["details"]["kind"], "Pod")
    CORE.create_namespaced_config_map(NAMESPACE, configmap("twice"))
    refused(409, "AlreadyExists", 'configmaps "twice" already exists', CORE.create_namespaced_config_map, NAMESPACE, configmap("twice"))
    refused(404, "NotFound", 'namespaces "nowhere" not found', CORE.create_namespaced_config_map, "nowhere", configmap("x"))
    refused(400, "BadRequest", "field label not supported: spec.colour", CORE.list_namespaced_pod, NAMESPACE, field_selector="spec.colour=red")
    refused(400, "BadRequest", "unable to parse requirement", CORE.list_namespaced_pod, NAMESPACE, label_selector="a b")
    refused(400, "BadRequest", "namespace of the provided object does not match the namespace sent on the request",
            CORE.create_namespaced_config_map, NAMESPACE, client.V1ConfigMap(metadata=META(name="x", namespace="default")))
    equal(CORE.create_namespaced_config_map(NAMESPACE, configmap("dry"), dry_run="All").metadata.name, "dry")
    refused(404, "NotFound", "not found", CORE.read_namespaced_config_map, "dry", NAMESPACE)


def every_patch():
    CORE.create_namespaced_config_map(NAMESPACE, configmap("patched", a="1", b="2"))
    patch, data = CORE.patch_namespaced_config_map, lambda: CORE.read_namespaced_config_map("patched", NAMESPACE).data
    # A list is a JSON patch, an object a strategic merge patch: so the client decides.
    patch("patched", NAMESPACE, [{"op": "replace", "path": "/data/a", "value": "9"}, {"op": "remove", "path": "/data/b"}])
    equal(data(), {"a": "9"})
    patch("patched", NAMESPACE, {"data": {"c": "3"}})
    equal(data(), {"a": "9", "c": "3"})
    patch("patched", NAMESPACE, {"data": {"a": None}}, _content_type="application/merge-patch+json")
    equal(data(), {"c": "3"})
    refused(422, "Invalid", "the server rejected our request due to an error in our request", patch, "patched", NAMESPACE,
            [{"op": "test", "path": "/data/c", "value": "4"}])
    refused(415, "UnsupportedMediaType", "Unsupported Media Type", patch, "patched", NAMESPACE, {},
            _content_type="application/json")
    deployment = client.V1Deployment(metadata=META(name="merged"), spec=client.V1DeploymentSpec(
        selector=client.V1LabelSelector(match_labels={"app": "m"}), template=template("m")))
    APPS.create_namespaced_deployment(NAMESPACE, deployment)
    side = {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "busybox"}]}}}}
    merged = APPS.patch_namespaced_deployment("merged", NAMESPACE, side)
    equal(sorted(c.name for c in merged.spec.template.spec.containers), ["c", "side"])
    replaced = APPS.patch_namespaced_deployment("merged", NAMESPACE, side, _content_type="application/merge-patch+json")
    equal([c.name for c in replaced.spec.template.spec.containers], ["side"])
    equal(replaced.metadata.generation, 3)
    scale = APPS.patch_namespaced_deployment_scale("merged", NAMESPACE, {"spec": {"replicas": 4}})
    equal((scale.kind, scale.spec.replicas), ("Scale", 4))
    status = APPS.patch_namespaced_deployment_status("merged", NAMESPACE, {"status": {"replicas": 4}, "spec": {"replicas": 9}})
    equal((status.status.replicas, status.spec.replicas), (4, 4))


def server_side_apply():
    apply = "application/apply-patch+yaml"
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}, "data": {"a": "1"}}
    patch = lambda manager, body, **more: CORE.patch_namespaced_config_map(
        "applied", NAMESPACE, body, field_manager=manager, _content_type=apply, **more)
    first = patch("one", body)
    again = patch("one", body)
    equal(again.metadata.resource_version, first.metadata.resource_version)
    equal([(m.manager, m.operation, m.fields_v1) for m in first.metadata.managed_fields], [("one", "Apply", {"f:data": {"f:a": {}}})])
    other = body | {"data": {"a": "2"}}
    status = refused(409, "Conflict", 'Apply failed with 1 conflict: conflict with "one": .data.a', patch, "two", other)
    equal(status["details"]["causes"], [{"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".data.a"}])
    equal(patch("two", other, force=True).data, {"a": "2"})
    refused(422, "Invalid", "fieldManager: Required value: is required for apply patch", patch, None, body)


def selectors_and_pages():
    for number in range(7):
        CORE.create_namespaced_config_map(NAMESPACE, configmap(f"page-{number}", {"page": "yes", "odd": str(number % 2)}))
    pages, token, version = [], None, None
    while True:
        page = CORE.list_namespaced_config_map(NAMESPACE, label_selector="page", limit=3, _continue=token)
        pages.append([item.metadata.name for item in page.items])
        version = version or page.metadata.resource_version
        equal(page.metadata.resource_version, version)
        token = page.metadata._continue
        if not token:
            break
    equal([len(page) for page in pages], [3, 3, 1])
    whole = CORE.list_namespaced_config_map(NAMESPACE, limit=2)
    assert whole.metadata.remaining_item_count > 4, whole.metadata
    names = lambda **selector: [item.metadata.name for item in CORE.list_namespaced_config_map(NAMESPACE, **selector).items]
    equal(names(label_selector="page=yes,odd in (1)"), ["page-1", "page-3", "page-5"])
    equal(names(label_selector="page,odd!=1"), ["page-0", "page-2", "page-4", "page-6"])
    equal(names(field_selector="metadata.name=page-4"), ["page-4"])
    equal(len(CORE.list_config_map_for_all_namespaces(label_selector="page").items), 7)
    refused(400, "BadRequest", "continue key is not valid", CORE.list_namespaced_config_map, NAMESPACE, _continue="nonsense")
    deleted = CORE.delete_collection_namespaced_config_map(NAMESPACE, label_selector="page", body=client.V1DeleteOptions())
    assert deleted is not None
    equal(names(label_selector="page"), [])


def watches():
    begin = CORE.list_namespaced_config_map(NAMESPACE).metadata.resource_version
    seen, stream = [], watch.Watch()

    def follow():
        for event in stream.stream(CORE.list_namespaced_config_map, NAMESPACE, resource_version=begin, timeout_seconds=30):
            seen.append((event["type"], event["object"].metadata.name))
            if event["type"] == "DELETED":
                stream.stop()

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    CORE.create_namespaced_config_map(NAMESPACE, configmap("watched", a="1"))
    CORE.patch_namespaced_config_map("watched", NAMESPACE, {"data": {"a": "2"}})
    CORE.delete_namespaced_config_map("watched", NAMESPACE)
    follower.join(20)
    equal(seen, [("ADDED", "watched"), ("MODIFIED", "watched"), ("DELETED", "watched")])


def watch_ends_in_time_and_sends_bookmarks():
    events = list(watch.Watch().stream(CORE.list_namespaced_config_map, NAMESPACE, timeout_seconds=1))
    assert events and all(event["type"] == "ADDED" for event in events), events
    kinds = []
    response = CORE.list_namespaced_config_map(NAMESPACE, watch=True, send_initial_events=True, allow_watch_bookmarks=True,
                                               resource_version_match="NotOlderThan", timeout_seconds=1, _preload_content=False)
    for line in response.stream():
        for text in line.decode().splitlines():
            event = json.loads(text)
            kinds.append(event["type"])
            if event["type"] == "BOOKMARK":
                equal(event["object"]["metadata"]["annotations"], {"k8s.io/initial-events-end": "true"})
    equal(kinds.count("BOOKMARK") >= 1, True)


def list_and_watch_as_an_informer():
    """List, watch from there, be told that it is too old, list again: what every informer does."""
    store, stop = {}, threading.Event()

    def resync():
        listed = CORE.list_namespaced_config_map(NAMESPACE, resource_version="0")
        store.clear()
        store.update({item.metadata.name: item for item in listed.items})
        return listed.metadata.resource_version

    def informer():
        version = resync()
        while not stop.is_set():
            try:
                for event in watch.Watch().stream(CORE.list_namespaced_config_map, NAMESPACE, resource_version=version, timeout_seconds=1):
                    item = event["object"]
                    version = item.metadata.resource_version
                    if event["type"] == "DELETED":
                        store.pop(item.metadata.name, None)
                    else:
                        store[item.metadata.name] = item
            except ApiException as error:
                equal(error.status, 410)
                version = resync()

    thread = threading.Thread(target=informer, daemon=True)
    thread.start()
    CORE.create_namespaced_config_map(NAMESPACE, configmap("informed", a="1"))
    until("the informer knows it", lambda: "informed" in store)
    CORE.patch_namespaced_config_map("informed", NAMESPACE, {"data": {"a": "2"}})
    until("the informer knows the change", lambda: store["informed"].data == {"a": "2"})
    CORE.delete_namespaced_config_map("informed", NAMESPACE)
    until("the informer forgot it", lambda: "informed" not in store)
    stop.set()
    # The client raises what an expired watch or list says.
    try:
        list(watch.Watch().stream(CORE.list_namespaced_config_map, NAMESPACE, resource_version="99999999", timeout_seconds=1))
    except ApiException as error:
        assert error.status in (410, 500, 504), error


def workloads_and_their_defaults():
    selector = client.V1LabelSelector(match_labels={"app": "w"})
    APPS.create_namespaced_stateful_set(NAMESPACE, client.V1StatefulSet(metadata=META(name="w"), spec=client.V1StatefulSetSpec(
        service_name="w", selector=selector, template=template("w"))))
    APPS.create_namespaced_daemon_set(NAMESPACE, client.V1DaemonSet(metadata=META(name="w"), spec=client.V1DaemonSetSpec(
        selector=selector, template=template("w"))))
    BATCH.create_namespaced_job(NAMESPACE, client.V1Job(metadata=META(name="w"), spec=client.V1JobSpec(
        template=template("w", restart_policy="Never"))))
    BATCH.create_namespaced_cron_job(NAMESPACE, client.V1CronJob(metadata=META(name="w"), spec=client.V1CronJobSpec(
        schedule="@hourly", job_template=client.V1JobTemplateSpec(spec=client.V1JobSpec(template=template("w", restart_policy="Never"))))))
    service = CORE.create_namespaced_service(NAMESPACE, client.V1Service(metadata=META(name="w"), spec=client.V1ServiceSpec(
        selector={"app": "w"}, ports=[client.V1ServicePort(port=80)])))
    assert service.spec.cluster_ip.startswith("10."), service.spec
    equal((service.spec.type, service.spec.ports[0].protocol, service.spec.ports[0].target_port), ("ClusterIP", "TCP", 80))
    rules = client.V1Ingress(metadata=META(name="w"), spec=client.V1IngressSpec(default_backend=client.V1IngressBackend(
        service=client.V1IngressServiceBackend(name="w", port=client.V1ServiceBackendPort(number=80)))))
    client.NetworkingV1Api().create_namespaced_ingress(NAMESPACE, rules)
    hpa = client.V2HorizontalPodAutoscaler(metadata=META(name="w"), spec=client.V2HorizontalPodAutoscalerSpec(
        max_replicas=3, scale_target_ref=client.V2CrossVersionObjectReference(api_version="apps/v1", kind="StatefulSet", name="w")))
    made = client.AutoscalingV2Api().create_namespaced_horizontal_pod_autoscaler(NAMESPACE, hpa)
    equal(made.spec.metrics[0].resource.target.average_utilization, 80)
    old = client.AutoscalingV1Api().read_namespaced_horizontal_pod_autoscaler("w", NAMESPACE)
    equal(old.spec.target_cpu_utilization_percentage, 80)
    secret = CORE.create_namespaced_secret(NAMESPACE, client.V1Secret(metadata=META(name="w"), string_data={"k": "v"}))
    equal((secret.data, secret.type), ({"k": base64.b64encode(b"v").decode()}, "Opaque"))
    pod = CORE.create_namespaced_pod(NAMESPACE, client.V1Pod(metadata=META(generate_name="w-"), spec=template("w").spec))
    assert pod.metadata.name.startswith("w-") and len(pod.metadata.name) == 7, pod.metadata.name
    equal((pod.spec.service_account_name, pod.status.qos_class, pod.status.phase), ("default", "BestEffort", "Pending"))
    CORE.create_namespaced_pod_eviction(pod.metadata.name, NAMESPACE, client.V1Eviction(metadata=META(name=pod.metadata.name)))
    until("the evicted pod is gone", lambda: not CORE.list_namespaced_pod(NAMESPACE).items)


def tokens_and_reviews():
    CORE.create_namespaced_service_account(NAMESPACE, client.V1ServiceAccount(metadata=META(name="robot")))
    request = client.AuthenticationV1TokenRequest(spec=client.V1TokenRequestSpec(audiences=None, expiration_seconds=600))
    token = CORE.create_namespaced_service_account_token("robot", NAMESPACE, request).status.token
    review = client.AuthenticationV1Api().create_token_review(client.V1TokenReview(spec=client.V1TokenReviewSpec(token=token)))
    equal((review.status.authenticated, review.status.user.username), (True, f"system:serviceaccount:{NAMESPACE}:robot"))
    as_robot = client.Configuration.get_default_copy()
    as_robot.cert_file = as_robot.key_file = None
    as_robot.api_key = {"authorization": token}
    as_robot.api_key_prefix = {"authorization": "Bearer"}
    robot = client.ApiClient(as_robot)
    message = f'configmaps is forbidden: User "system:serviceaccount:{NAMESPACE}:robot" cannot list resource "configmaps" in API group "" in the namespace "{NAMESPACE}"'
    refused(403, "Forbidden", message, client.CoreV1Api(robot).list_namespaced_config_map, NAMESPACE)

    def may(api_client):
        attributes = client.V1ResourceAttributes(namespace=NAMESPACE, verb="list", resource="configmaps")
        review = client.V1SelfSubjectAccessReview(spec=client.V1SelfSubjectAccessReviewSpec(resource_attributes=attributes))
        return client.AuthorizationV1Api(api_client).create_self_subject_access_review(review).status.allowed

    equal((may(None), may(robot)), (True, False))
    rbac = client.RbacAuthorizationV1Api()
    rbac.create_namespaced_role(NAMESPACE, client.V1Role(metadata=META(name="reader"), rules=[
        client.V1PolicyRule(api_groups=[""], resources=["configmaps"], verbs=["list"])]))
    rbac.create_namespaced_role_binding(NAMESPACE, client.V1RoleBinding(
        metadata=META(name="reader"), role_ref=client.V1RoleRef(api_group="rbac.authorization.k8s.io", kind="Role", name="reader"),
        subjects=[client.RbacV1Subject(kind="ServiceAccount", name="robot", namespace=NAMESPACE)]))
    until("the binding counts", lambda: may(robot))
    assert client.CoreV1Api(robot).list_namespaced_config_map(NAMESPACE).items is not None
    whoami = client.AuthenticationV1Api(robot).create_self_subject_review(client.V1SelfSubjectReview())
    equal(whoami.status.user_info.username, f"system:serviceaccount:{NAMESPACE}:robot")


def dynamic_client():
    world = dynamic.DynamicClient(client.ApiClient())
    maps = world.resources.get(api_version="v1", kind="ConfigMap")
    made = maps.create(namespace=NAMESPACE, body={"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "dynamic"}, "data": {"a": "1"}})
    equal((made.metadata.name, made.data.a), ("dynamic", "1"))
    equal(maps.patch(namespace=NAMESPACE, name="dynamic", body={"data": {"a": "2"}}).data.a, "2")
    applied = maps.server_side_apply(namespace=NAMESPACE, field_manager="py", body={
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "dynamic2"}, "data": {"b": "1"}})
    equal(applied.data.b, "1")
    try:
        maps.server_side_apply(namespace=NAMESPACE, field_manager="other", body={
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "dynamic2"}, "data": {"b": "2"}})
        raise AssertionError("no conflict")
    except ConflictError:
        pass
    for event in maps.watch(namespace=NAMESPACE, field_selector="metadata.name=dynamic", timeout=5):
        equal((event["type"], event["object"].metadata.name), ("ADDED", "dynamic"))
        break
    deployments = world.resources.get(api_version="apps/v1", kind="Deployment")
    scale = deployments.scale.get(namespace=NAMESPACE, name="merged")
    equal(scale.kind, "Scale")
    equal(deployments.scale.patch(namespace=NAMESPACE, name="merged", body={"spec": {"replicas": 2}}).spec.replicas, 2)
    try:
        maps.get(namespace=NAMESPACE, name="nothing")
        raise AssertionError("found nothing")
    except NotFoundError:
        pass
    try:
        world.resources.get(api_version="x.example/v1", kind="Gizmo")
        raise AssertionError("found a gizmo")
    except ResourceNotFoundError:
        pass


def create_from_yaml():
    objects = [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "yaml"}, "spec": {"ports": [{"port": 80}]}},
        {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "yaml"},
         "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "w"}}}},
        {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "yaml"}, "provisioner": "example.com/p"},
    ]
    equal(len(utils.create_from_yaml(client.ApiClient(), yaml_objects=objects, namespace=NAMESPACE)), 3)
    client.StorageV1Api().delete_storage_class("yaml")


def the_namespace_goes():
    CORE.delete_namespace(NAMESPACE)

    def gone():
        try:
            CORE.read_namespace(NAMESPACE)
            return False
        except ApiException as error:
            return error.status == 404

    until("the namespace is gone", gone)


run([
    versions_and_groups, namespace_with_everything_of_its_own, create_read_replace_delete, error_bodies, every_patch,
    server_side_apply, selectors_and_pages, watches, watch_ends_in_time_and_sends_bookmarks, list_and_watch_as_an_informer,
    workloads_and_their_defaults, tokens_and_reviews, dynamic_client, create_from_yaml, the_namespace_goes,
])
