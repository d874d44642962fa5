//! The kubectl that is on the PATH, as a person types it, against `portcullis up`, directly and through `kubectl proxy`.

use std::path::Path;

use crate::support::{Kubectl, Store, Up};

/// A deployment, changed between two applies.
fn deployment(replicas: u32) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{name: web, labels: {{app: web}}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      containers:
      - {{name: web, image: \"nginx:1.27\", ports: [{{containerPort: 80}}]}}
"
    )
}

#[test]
fn kubectl_does_its_work_on_the_embedded_store() {
    session(Store::Embedded);
}

#[test]
fn kubectl_does_its_work_on_etcd() {
    session(Store::Etcd);
}

#[test]
fn create() {
    transcript("create.txt");
}

#[test]
fn apply_by_the_client() {
    transcript("apply.txt");
}

#[test]
fn apply_by_the_server() {
    transcript("serverside.txt");
}

#[test]
fn patch_scale_set_label_rollout_and_delete() {
    transcript("change.txt");
}

#[test]
fn get_explain_can_i_wait_and_events() {
    transcript("look.txt");
}

#[test]
fn print_and_describe() {
    transcript("describe.txt");
}

#[test]
fn nodes_and_certificates() {
    transcript("nodes.txt");
}

/// One of the transcripts beside this file, against a server of its own.
fn transcript(name: &str) {
    if missing() {
        return;
    }
    let up = Up::start(Store::Embedded);
    up.shell().play(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gate/kubectl").join(name));
}

/// Whether there is no kubectl to type with, which is said aloud and fails nothing.
fn missing() -> bool {
    let missing = !Kubectl::installed();
    if missing {
        println!("NOT TESTED: there is no kubectl on the PATH");
    }
    missing
}

fn session(store: Store) {
    if missing() {
        return;
    }
    let up = Up::start(store);
    let kubectl = up.kubectl();
    println!("{}", kubectl.run(&["version"]));
    everything(&kubectl, &up);
    // `kubectl proxy` adds the credentials; the second kubectl has none.
    let proxy = up.proxy();
    everything(&proxy.kubectl(), &up);
}

fn everything(kubectl: &Kubectl, up: &Up) {
    who(kubectl);
    declare(kubectl, up);
    make(kubectl);
    change(kubectl, up);
    look(kubectl, up);
    remove(kubectl);
}

fn who(kubectl: &Kubectl) {
    assert!(kubectl.run(&["auth", "whoami"]).contains("system:masters"));
    assert!(kubectl.run(&["api-resources"]).contains("deployments"));
    assert!(kubectl.run(&["api-versions"]).contains("apps/v1"));
    assert!(kubectl.run(&["explain", "pod.spec.containers"]).contains("image"));
    assert!(kubectl.run(&["explain", "deployment.spec.replicas"]).contains("integer"));
    assert!(kubectl.run(&["explain", "services", "--recursive"]).contains("clusterIP"));
    assert!(kubectl.run(&["auth", "can-i", "delete", "pods"]).starts_with("yes"));
    assert!(kubectl.run(&["get", "--raw", "/readyz"]).contains("ok"));
    assert!(kubectl.run(&["get", "namespaces"]).contains("kube-system"));
    assert!(kubectl.run(&["cluster-info"]).contains("is running at"));
}

fn declare(kubectl: &Kubectl, up: &Up) {
    let file = up.file("web.yaml", &deployment(2));
    assert!(kubectl.run(&["apply", "-f", &file]).contains("deployment.apps/web created"));
    assert!(kubectl.run(&["apply", "-f", &file]).contains("deployment.apps/web unchanged"));
    let file = up.file("web.yaml", &deployment(3));
    assert!(kubectl.run(&["apply", "-f", &file]).contains("deployment.apps/web configured"));
    assert_eq!(kubectl.run(&["get", "deployment", "web", "-o", "jsonpath={.spec.replicas}"]), "3");
    assert!(kubectl.run(&["diff", "-f", &file]).is_empty());
}

fn make(kubectl: &Kubectl) {
    kubectl.run(&["create", "namespace", "team"]);
    kubectl.run(&["-n", "team", "create", "configmap", "settings", "--from-literal=color=blue"]);
    kubectl.run(&["-n", "team", "create", "secret", "generic", "password", "--from-literal=p=s3cret"]);
    kubectl.run(&["-n", "team", "create", "deployment", "api", "--image=nginx:1.27"]);
    kubectl.run(&["-n", "team", "create", "serviceaccount", "robot"]);
    kubectl.run(&["-n", "team", "create", "role", "reader", "--verb=get,list", "--resource=configmaps"]);
    kubectl.run(&["-n", "team", "create", "rolebinding", "robot-reads", "--role=reader", "--serviceaccount=team:robot"]);
    assert!(
        kubectl
            .run(&["-n", "team", "auth", "can-i", "list", "configmaps", "--as=system:serviceaccount:team:robot"])
            .starts_with("yes")
    );
    assert!(
        kubectl
            .fail_out(&["-n", "team", "auth", "can-i", "list", "secrets", "--as=system:serviceaccount:team:robot"])
            .starts_with("no")
    );
    assert_eq!(kubectl.run(&["-n", "team", "create", "token", "robot"]).matches('.').count(), 2);
    kubectl.run(&["-n", "team", "expose", "deployment", "api", "--port=80"]);
    kubectl.run(&["-n", "team", "create", "job", "once", "--image=busybox"]);
    kubectl.run(&["-n", "team", "create", "cronjob", "often", "--image=busybox", "--schedule=*/5 * * * *"]);
    kubectl.run(&["-n", "team", "create", "quota", "small", "--hard=pods=3"]);
    kubectl.run(&["-n", "team", "create", "ingress", "web", "--rule=example.com/*=api:80"]);
    let address = kubectl.run(&["-n", "team", "get", "service", "api", "-o", "jsonpath={.spec.clusterIP}"]);
    assert!(address.starts_with("10."), "{address}");
    let secret = kubectl.run(&["-n", "team", "get", "secret", "password", "-o", "jsonpath={.data.p}"]);
    assert_eq!(secret, "czNjcmV0");
    let refused = kubectl.fail(&["-n", "team", "create", "configmap", "settings"]);
    assert!(refused.contains("configmaps \"settings\" already exists"), "{refused}");
    let refused = kubectl.fail(&["-n", "nowhere", "create", "configmap", "x"]);
    assert!(refused.contains("namespaces \"nowhere\" not found"), "{refused}");
}

fn change(kubectl: &Kubectl, up: &Up) {
    kubectl.run(&["scale", "deployment/web", "--replicas=5"]);
    assert_eq!(kubectl.run(&["get", "deployment", "web", "-o", "jsonpath={.spec.replicas}"]), "5");
    kubectl.run(&["-n", "team", "label", "configmap", "settings", "tier=front"]);
    kubectl.run(&["-n", "team", "annotate", "configmap", "settings", "note=hello"]);
    kubectl.run(&["-n", "team", "patch", "configmap", "settings", "-p", r#"{"data":{"size":"big"}}"#]);
    kubectl.run(&["patch", "deployment", "web", "--type=json", "-p", r#"[{"op":"replace","path":"/spec/replicas","value":1}]"#]);
    kubectl.run(&["set", "image", "deployment/web", "web=nginx:1.28"]);
    let image = kubectl.run(&["get", "deployment", "web", "-o", "jsonpath={.spec.template.spec.containers[0].image}"]);
    assert_eq!(image, "nginx:1.28");
    let replaced = up.file("settings.yaml", &kubectl.run(&["-n", "team", "get", "configmap", "settings", "-o", "yaml"]));
    kubectl.run(&["replace", "-f", &replaced]);
    kubectl.run(&["-n", "team", "label", "configmap", "settings", "tier-"]);
    kubectl.run(&["-n", "team", "autoscale", "deployment", "api", "--max=3"]);
    kubectl.run(&["-n", "team", "set", "env", "deployment/api", "MODE=fast"]);
    kubectl.run(&["-n", "team", "rollout", "restart", "deployment/api"]);
    let editor = up.script("editor", "#!/bin/sh\nsed -i 's/color: blue/color: green/' \"$1\"\n");
    kubectl.with("KUBE_EDITOR", &editor).run(&["-n", "team", "edit", "configmap", "settings"]);
    let color = kubectl.run(&["-n", "team", "get", "configmap", "settings", "-o", "jsonpath={.data.color}"]);
    assert_eq!(color, "green");
}

fn look(kubectl: &Kubectl, up: &Up) {
    let pod =
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: {app: solo}}\nspec: {containers: [{name: c, image: nginx}]}\n";
    let file = up.file("pod.yaml", pod);
    kubectl.run(&["create", "-f", &file]);
    let wide = kubectl.run(&["get", "pods", "-o", "wide"]);
    assert!(wide.contains("NOMINATED NODE") && wide.contains("Pending"), "{wide}");
    assert!(kubectl.run(&["get", "pod", "p", "-o", "yaml"]).contains("schedulerName: default-scheduler"));
    assert!(kubectl.run(&["get", "pods", "-l", "app=solo"]).contains("p "));
    assert!(!kubectl.run(&["get", "pods", "-l", "app=other"]).contains("p "));
    assert!(kubectl.run(&["get", "pods", "--field-selector", "status.phase=Pending"]).contains("p "));
    assert!(kubectl.run(&["get", "all", "-A"]).contains("deployment.apps/web"));
    assert!(kubectl.run(&["describe", "pod", "p"]).contains("nginx"));
    assert!(kubectl.run(&["describe", "deployment", "web"]).contains("RollingUpdateStrategy"));
    assert!(kubectl.run(&["-n", "team", "describe", "service", "api"]).contains("Endpoints:"));
    assert!(kubectl.run(&["describe", "namespace", "team"]).contains("Active"));
    assert!(kubectl.run(&["-n", "team", "get", "events"]).is_empty());
    assert!(kubectl.run(&["get", "--raw", "/api/v1/namespaces/default/pods/p"]).starts_with("{\"kind\":\"Pod\""));
    let names = kubectl.run(&["-n", "team", "get", "deployments,configmaps,secrets", "--sort-by=.metadata.name", "-o", "name"]);
    assert!(names.contains("configmap/settings") && names.contains("deployment.apps/api"), "{names}");
    kubectl.run(&["wait", "--for=jsonpath={.status.phase}=Pending", "pod/p", "--timeout=5s"]);
    let mut watch = kubectl.spawn(&["get", "configmaps", "-n", "team", "-w", "-o", "name"]);
    watch.wait_for("configmap/settings");
    kubectl.run(&["-n", "team", "create", "configmap", "seen"]);
    watch.wait_for("configmap/seen");
}

fn remove(kubectl: &Kubectl) {
    kubectl.run(&["-n", "team", "delete", "configmap", "settings"]);
    kubectl.run(&["delete", "deployment", "web"]);
    kubectl.run(&["delete", "pod", "-l", "app=solo"]);
    let gone = kubectl.fail(&["get", "deployment", "web"]);
    assert!(gone.contains("deployments.apps \"web\" not found"), "{gone}");
    kubectl.run(&["delete", "namespace", "team"]);
    let gone = kubectl.fail(&["get", "namespace", "team"]);
    assert!(gone.contains("namespaces \"team\" not found"), "{gone}");
}
