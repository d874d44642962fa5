//! Tables of fragments of manifests and the exact faults that kube-apiserver tells of them.

use serde_json::{Value, json};

use crate::api::error::FieldError;

fn texts(errors: &[FieldError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// A sound pod, and what stands differently in its spec, by pointer.
pub(super) fn pod(changes: &[(&str, Value)]) -> Value {
    let mut pod = json!({"metadata": {"name": "p", "namespace": "n"}, "spec": {"containers": [{"name": "c", "image": "i",
        "imagePullPolicy": "Always", "terminationMessagePolicy": "File"}], "restartPolicy": "Always", "dnsPolicy": "ClusterFirst",
        "terminationGracePeriodSeconds": 30, "serviceAccountName": "default", "securityContext": {}}});
    for (path, value) in changes {
        let mut at = &mut pod["spec"];
        for step in path.split('/') {
            at = match step.parse::<usize>() {
                Ok(index) => {
                    let list = at.as_array_mut().expect("a list");
                    while list.len() <= index {
                        list.push(json!({}));
                    }
                    &mut list[index]
                }
                Err(_) => &mut at[step],
            };
        }
        *at = value.clone();
    }
    pod
}

fn faults(changes: &[(&str, Value)]) -> String {
    let mut errors = Vec::new();
    super::check_create(&pod(changes), &mut errors);
    texts(&errors)
}

const C: &str = "spec.containers[0]";

#[test]
fn containers() {
    let container = || json!({"name": "c", "image": "i", "imagePullPolicy": "Always", "terminationMessagePolicy": "File"});
    let rows: Vec<(Vec<(&str, Value)>, String)> = vec![
        (vec![], String::new()),
        (vec![("containers", json!([]))], "spec.containers: Required value".to_owned()),
        (vec![("containers/0/name", json!(""))], format!("{C}.name: Required value")),
        (vec![("containers/0/image", json!(""))], format!("{C}.image: Required value")),
        (
            vec![("containers/0/image", json!(" i"))],
            format!("{C}.image: Invalid value: \" i\": must not have leading or trailing whitespace"),
        ),
        (vec![("containers/1", container())], "spec.containers[1].name: Duplicate value: \"c\"".to_owned()),
        (vec![("initContainers", json!([container()]))], "spec.initContainers[0].name: Duplicate value: \"c\"".to_owned()),
        (
            vec![("containers/0/imagePullPolicy", json!("Sometimes"))],
            format!("{C}.imagePullPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"IfNotPresent\", \"Never\""),
        ),
        (
            vec![("containers/0/ports", json!([{"containerPort": 70000, "protocol": "TCP"}, {"protocol": "X", "name": "a_b"}]))],
            format!(
                "{C}.ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive; {C}.ports[1].name: Invalid \
                 value: \"a_b\": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-); {C}.ports[1].containerPort: \
                 Required value; {C}.ports[1].protocol: Unsupported value: \"X\": supported values: \"SCTP\", \"TCP\", \"UDP\""
            ),
        ),
        (
            vec![("containers/0/ports", json!([{"containerPort": 1, "hostPort": 5, "protocol": "TCP"}, {"containerPort": 2,
                "hostPort": 5, "protocol": "TCP"}]))],
            format!("{C}.ports[1].hostPort: Duplicate value: \"TCP//5\""),
        ),
        (
            vec![("hostNetwork", json!(true)), ("containers/0/ports", json!([{"containerPort": 1, "protocol": "TCP"}]))],
            format!("{C}.ports[0].hostPort: Invalid value: 0: must match `containerPort` when `hostNetwork` is true"),
        ),
        (
            vec![("containers/0/restartPolicy", json!("X"))],
            format!("{C}.restartPolicy: Unsupported value: \"X\": supported values: \"Always\", \"Never\", \"OnFailure\""),
        ),
        (
            vec![("containers/0/resizePolicy", json!([{"resourceName": "x", "restartPolicy": ""}]))],
            format!("{C}.resizePolicy: Unsupported value: \"x\": supported values: \"cpu\", \"memory\"; {C}.resizePolicy: Required value"),
        ),
        (
            vec![("ephemeralContainers", json!([{"name": "c", "image": "i", "imagePullPolicy": "Always",
                "terminationMessagePolicy": "File", "ports": [{"containerPort": 1, "protocol": "TCP"}], "targetContainerName": "x"}]))],
            "spec.ephemeralContainers[0].name: Duplicate value: \"c\"; spec.ephemeralContainers[0].targetContainerName: Not found: \
             \"x\"; spec.ephemeralContainers[0].ports: Forbidden: cannot be set for an Ephemeral Container; \
             spec.ephemeralContainers: Forbidden: cannot be set on create"
                .to_owned(),
        ),
    ];
    for (changes, expected) in rows {
        assert_eq!(faults(&changes), expected);
    }
}

#[test]
fn environments() {
    let rows: Vec<(Value, String)> = vec![
        (json!([{"name": "A", "value": "b"}]), String::new()),
        (json!([{"name": ""}]), format!("{C}.env[0].name: Required value")),
        (
            json!([{"name": "A", "valueFrom": {}}]),
            format!(
                "{C}.env[0].valueFrom: Invalid value: \"\": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, \
                 `secretKeyRef` or `fileKeyRef`"
            ),
        ),
        (
            json!([{"name": "A", "value": "x", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]),
            format!("{C}.env[0].valueFrom: Invalid value: \"\": may not be specified when `value` is not empty"),
        ),
        (
            json!([{"name": "A", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "spec.x"}}}]),
            format!(
                "{C}.env[0].valueFrom.fieldRef.fieldPath: Invalid value: \"spec.x\": error converting fieldPath: field label not \
                 supported: spec.x"
            ),
        ),
        (
            json!([{"name": "A", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.labels"}}}]),
            format!(
                "{C}.env[0].valueFrom.fieldRef.fieldPath: Unsupported value: \"metadata.labels\": supported values: \
                 \"metadata.name\", \"metadata.namespace\", \"metadata.uid\", \"spec.nodeName\", \"spec.serviceAccountName\", \
                 \"status.hostIP\", \"status.hostIPs\", \"status.podIP\", \"status.podIPs\""
            ),
        ),
        (
            json!([{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "2"}}}]),
            format!(
                "{C}.env[0].valueFrom.resourceFieldRef.divisor: Invalid value: \"limits.cpu\": only divisor's values 1m and 1 are \
                 supported with the cpu resource"
            ),
        ),
        (
            json!([{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c"}}}]),
            format!("{C}.env[0].valueFrom.configMapKeyRef.key: Required value"),
        ),
    ];
    for (env, expected) in rows {
        assert_eq!(faults(&[("containers/0/env", env)]), expected);
    }
    assert_eq!(
        faults(&[("containers/0/envFrom", json!([{}]))]),
        format!("{C}.envFrom: Invalid value: \"\": must specify one of: `configMapRef` or `secretRef`")
    );
}

#[test]
fn resources() {
    let rows: Vec<(Value, String)> = vec![
        (
            json!({"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}),
            format!("{C}.resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1"),
        ),
        (
            json!({"limits": {"foo": "1"}}),
            format!(
                "{C}.resources.limits[foo]: Invalid value: \"foo\": must be a standard resource type or fully qualified; \
                 {C}.resources.limits[foo]: Invalid value: \"foo\": must be a standard resource for containers"
            ),
        ),
        (
            json!({"limits": {"pods": "1"}}),
            format!("{C}.resources.limits[pods]: Invalid value: \"pods\": must be a standard resource for containers"),
        ),
        (
            json!({"requests": {"memory": "-1"}}),
            format!("{C}.resources.requests[memory]: Invalid value: \"-1\": must be greater than or equal to 0"),
        ),
        (
            json!({"requests": {"example.com/gpu": "1"}}),
            format!("{C}.resources.limits: Required value: Limit must be set for non overcommitable resources"),
        ),
        (
            json!({"requests": {"example.com/gpu": "1"}, "limits": {"example.com/gpu": "2"}}),
            format!("{C}.resources.requests: Invalid value: \"1\": must be equal to example.com/gpu limit of 2"),
        ),
        (
            json!({"limits": {"example.com/gpu": "500m"}}),
            format!("{C}.resources.limits[example.com/gpu]: Invalid value: \"500m\": must be an integer"),
        ),
        (
            json!({"requests": {"hugepages-2Mi": "3Mi"}, "limits": {"hugepages-2Mi": "3Mi"}}),
            format!(
                "{C}.resources.limits[hugepages-2Mi]: Invalid value: \"3Mi\": 3Mi is not positive integer multiple of hugepages-2Mi; \
                 {C}.resources.requests[hugepages-2Mi]: Invalid value: \"3Mi\": 3Mi is not positive integer multiple of \
                 hugepages-2Mi; {C}.resources: Forbidden: HugePages require cpu or memory"
            ),
        ),
        (
            json!({"claims": [{"name": "x"}]}),
            format!(
                "{C}.resources.claims[0]: Not found: \"x\": must be one of the names in pod.spec.resourceClaims which is empty"
            ),
        ),
    ];
    for (resources, expected) in rows {
        assert_eq!(faults(&[("containers/0/resources", resources)]), expected);
    }
    assert_eq!(
        faults(&[
            ("containers/0/resources", json!({"requests": {"cpu": "2"}, "limits": {"cpu": "3"}})),
            ("resources", json!({"requests": {"cpu": "1"}, "limits": {"cpu": "2", "pods": "1"}})),
        ]),
        "spec.resources.limits[pods]: Unsupported value: \"pods\": supported values: \"cpu\", \"hugepages-\", \"memory\"; \
         spec.resources.requests[cpu]: Invalid value: \"1\": must be greater than or equal to aggregate container requests of 2; \
         spec.resources.containers[0][cpu].limits: Invalid value: \"3\": must be less than or equal to pod limits of 2"
    );
}

#[test]
fn probes_and_hooks() {
    let rows: Vec<(&str, Value, String)> = vec![
        (
            "livenessProbe",
            json!({"successThreshold": 1}),
            format!("{C}.livenessProbe: Required value: must specify a handler type"),
        ),
        (
            "livenessProbe",
            json!({"successThreshold": 2, "exec": {"command": ["a"]}, "tcpSocket": {"port": 1}}),
            format!(
                "{C}.livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type; \
                 {C}.livenessProbe.successThreshold: Invalid value: 2: must be 1"
            ),
        ),
        (
            "readinessProbe",
            json!({"httpGet": {"port": 0, "path": "/", "scheme": "X", "httpHeaders": [{"name": "a b"}]},
                "terminationGracePeriodSeconds": 1, "periodSeconds": -1}),
            format!(
                "{C}.readinessProbe.httpGet.port: Invalid value: 0: must be between 1 and 65535, inclusive; \
                 {C}.readinessProbe.httpGet.scheme: Unsupported value: \"X\": supported values: \"HTTP\", \"HTTPS\"; \
                 {C}.readinessProbe.httpGet.httpHeaders: Invalid value: \"a b\": a valid HTTP header must consist of alphanumeric \
                 characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+'); \
                 {C}.readinessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0; \
                 {C}.readinessProbe.terminationGracePeriodSeconds: Invalid value: 1: must not be set for readinessProbes"
            ),
        ),
        (
            "lifecycle",
            json!({"preStop": {"sleep": {"seconds": 31}}}),
            format!(
                "{C}.lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and less than terminationGracePeriodSeconds (30)"
            ),
        ),
    ];
    for (member, value, expected) in rows {
        assert_eq!(faults(&[(&format!("containers/0/{member}"), value)]), expected);
    }
    assert_eq!(
        faults(&[(
            "initContainers",
            json!([{"name": "a", "image": "i", "imagePullPolicy": "Always", "terminationMessagePolicy": "File",
            "lifecycle": {}}])
        )]),
        "spec.initContainers[0].lifecycle: Forbidden: may not be set for init containers without restartPolicy=Always"
    );
}

#[test]
fn volumes_and_mounts() {
    let v = "spec.volumes[0]";
    let rows: Vec<(Value, String)> = vec![
        (json!({"name": "v"}), format!("{v}: Required value: must specify a volume type")),
        (json!({"emptyDir": {}}), format!("{v}.name: Required value")),
        (
            json!({"name": "v", "emptyDir": {}, "hostPath": {"path": ""}}),
            format!("{v}.hostPath: Forbidden: may not specify more than 1 volume type"),
        ),
        (
            json!({"name": "v", "hostPath": {"path": "/a/../b", "type": "X"}}),
            format!(
                "{v}.hostPath.path: Invalid value: \"/a/../b\": must not contain '..'; {v}.hostPath.type: Unsupported value: \"X\": \
                 supported values: \"\", \"BlockDevice\", \"CharDevice\", \"Directory\", \"DirectoryOrCreate\", \"File\", \
                 \"FileOrCreate\", \"Socket\""
            ),
        ),
        (
            json!({"name": "v", "secret": {"defaultMode": 512, "items": [{"key": "k", "path": "/p"}]}}),
            format!(
                "{v}.secret.secretName: Required value; {v}.secret.defaultMode: Invalid value: 512: must be a number between 0 and \
                 0777 (octal), both inclusive; {v}.secret.items[0].path: Invalid value: \"/p\": must be a relative path"
            ),
        ),
        (json!({"name": "v", "gcePersistentDisk": {}}), format!("{v}.persistentDisk.pdName: Required value")),
        (
            json!({"name": "v", "nfs": {"server": "s", "path": "p"}}),
            format!("{v}.nfs.path: Invalid value: \"p\": must be an absolute path"),
        ),
        (
            json!({"name": "v", "projected": {"sources": [{"serviceAccountToken": {"expirationSeconds": 5, "path": "t"}},
                {"configMap": {"name": "c", "items": [{"key": "a", "path": "x"}, {"key": "b", "path": "x"}]}}]}}),
            format!(
                "{v}.projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 5: may not specify a duration less \
                 than 10 minutes; {v}.projected: Invalid value: \"c\": conflicting duplicate paths"
            ),
        ),
        (
            json!({"name": "v", "ephemeral": {"volumeClaimTemplate": {"metadata": {"name": "x"}, "spec": {}}}}),
            format!(
                "{v}.ephemeral.volumeClaimTemplate.metadata.name: Forbidden: cannot be set; \
                 {v}.ephemeral.volumeClaimTemplate.spec.accessModes: Required value: at least 1 access mode is required; \
                 {v}.ephemeral.volumeClaimTemplate.spec.resources[storage]: Required value"
            ),
        ),
        (json!({"name": "v", "image": {"pullPolicy": "Always"}}), format!("{v}.image.reference: Required value")),
        (
            json!({"name": "v", "iscsi": {"targetPortal": "a", "iqn": "iqn.2001-04.com.example:storage", "lun": 300}}),
            format!("{v}.iscsi.lun: Invalid value: 300: must be between 0 and 255, inclusive"),
        ),
        (json!({"name": "v", "csi": {"driver": "A_"}}), format!("{v}.csi.driver: Invalid value: \"A_\": a lowercase RFC 1123")),
    ];
    for (volume, expected) in rows {
        let told = faults(&[("volumes", json!([volume]))]);
        assert!(told == expected || expected.ends_with("1123") && told.starts_with(&expected), "{told}\n{expected}");
    }
    let m = format!("{C}.volumeMounts");
    let rows: Vec<(Value, String)> = vec![
        (json!([{"name": "v", "mountPath": "/a"}]), String::new()),
        (json!([{"name": "x", "mountPath": "/a"}]), format!("{m}[0].name: Not found: \"x\"")),
        (
            json!([{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/a"}]),
            format!("{m}[1].mountPath: Invalid value: \"/a\": must be unique"),
        ),
        (
            json!([{"name": "v", "mountPath": "/a", "subPath": "../x"}]),
            format!("{m}.subPath: Invalid value: \"../x\": must not contain '..'"),
        ),
        (
            json!([{"name": "v", "mountPath": "/a", "mountPropagation": "Bidirectional", "recursiveReadOnly": "Enabled"}]),
            format!(
                "{m}.mountPropagation: Forbidden: Bidirectional mount propagation is available only to privileged containers; \
                 {m}.recursiveReadOnly: Forbidden: may only be specified when readOnly is true; {m}.recursiveReadOnly: Forbidden: may \
                 only be specified when mountPropagation is None or not specified"
            ),
        ),
    ];
    for (mounts, expected) in rows {
        let changes = [("volumes", json!([{"name": "v", "emptyDir": {}}])), ("containers/0/volumeMounts", mounts)];
        assert_eq!(faults(&changes), expected);
    }
    assert_eq!(
        faults(&[
            ("volumes", json!([{"name": "v", "emptyDir": {}}])),
            ("containers/0/volumeDevices", json!([{"name": "v", "devicePath": "/d"}])),
        ]),
        format!(
            "{C}.volumeDevices[0].name: Invalid value: \"v\": can only use volume source type of PersistentVolumeClaim or Ephemeral \
             for block mode"
        )
    );
}

#[test]
fn security() {
    let rows: Vec<(&str, Value, String)> = vec![
        (
            "containers/0/securityContext",
            json!({"runAsUser": -1, "procMount": "Unmasked"}),
            format!(
                "{C}.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive; \
                 {C}.securityContext.procMount: Invalid value: \"Unmasked\": `hostUsers` must be false to use `Unmasked`"
            ),
        ),
        (
            "containers/0/securityContext",
            json!({"allowPrivilegeEscalation": false, "privileged": true}),
            format!(
                "{C}.securityContext: Invalid value: {{\"Capabilities\":null,\"Privileged\":true,\"SELinuxOptions\":null,\
                 \"WindowsOptions\":null,\"RunAsUser\":null,\"RunAsGroup\":null,\"RunAsNonRoot\":null,\
                 \"ReadOnlyRootFilesystem\":null,\"AllowPrivilegeEscalation\":false,\"ProcMount\":null,\"SeccompProfile\":null,\
                 \"AppArmorProfile\":null}}: cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
            ),
        ),
        (
            "securityContext",
            json!({"seccompProfile": {"type": "Localhost"}, "appArmorProfile": {"type": "X"}, "sysctls": [{"name": "A"}]}),
            "spec.securityContext.sysctls[0].name: Invalid value: \"A\": must have at most 253 characters and match regex \
             ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$; \
             spec.securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost; \
             spec.securityContext.appArmorProfile.type: Unsupported value: \"X\": supported values: \"Localhost\", \
             \"RuntimeDefault\", \"Unconfined\""
                .to_owned(),
        ),
        ("os", json!({"name": "x"}), "spec.os: Unsupported value: \"x\": supported values: \"linux\", \"windows\"".to_owned()),
    ];
    for (path, value, expected) in rows {
        assert_eq!(faults(&[(path, value)]), expected);
    }
    assert_eq!(
        faults(&[("hostNetwork", json!(true)), ("hostUsers", json!(false)), ("hostPID", json!(true))]),
        "spec.hostNetwork: Forbidden: when `hostUsers` is false; spec.HostPID: Forbidden: when `hostUsers` is false"
    );
    assert_eq!(
        faults(&[("os", json!({"name": "windows"})), ("securityContext", json!({"runAsUser": 1}))]),
        "spec.securityContext.runAsUser: Forbidden: cannot be set for a windows pod"
    );
}

#[test]
fn scheduling() {
    let rows: Vec<(&str, Value, &str)> = vec![
        (
            "tolerations",
            json!([{"key": "a b", "operator": "X", "effect": "Y", "tolerationSeconds": 1}]),
            "spec.tolerations[0].key: Invalid value: \"a b\": name part must consist of alphanumeric characters, '-', '_' or '.', and \
             must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation \
             is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]'); spec.tolerations[0].effect: Invalid value: \"Y\": effect must be \
             'NoExecute' when `tolerationSeconds` is set; spec.tolerations[0].operator: Unsupported value: \"X\": supported values: \
             \"Equal\", \"Exists\"; spec.tolerations[0].effect: Unsupported value: \"Y\": supported values: \"NoSchedule\", \
             \"PreferNoSchedule\", \"NoExecute\"",
        ),
        (
            "affinity",
            json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []},
                "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 0, "preference": {"matchFields": [{"key": "x",
                "operator": "Exists"}]}}]}}),
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required value: must have \
             at least one node selector term; spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: \
             Invalid value: 0: must be in the range 1-100; \
             spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchFields[0].operator: \
             Invalid value: \"Exists\": not a valid selector operator; \
             spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchFields[0].key: Invalid \
             value: \"x\": not a valid field selector key",
        ),
        (
            "topologySpreadConstraints",
            json!([{"maxSkew": 0, "topologyKey": "k", "whenUnsatisfiable": "X", "minDomains": 1, "matchLabelKeys": ["a"]}]),
            "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero; \
             spec.topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value: \"X\": supported values: \"DoNotSchedule\", \
             \"ScheduleAnyway\"; spec.topologySpreadConstraints[0].minDomains: Invalid value: 1: can only use minDomains if \
             whenUnsatisfiable=DoNotSchedule, not X; spec.topologySpreadConstraints[0].matchLabelKeys: Forbidden: must not be \
             specified when labelSelector is not set",
        ),
        (
            "topologySpreadConstraints",
            json!([{"maxSkew": 1, "topologyKey": "k", "whenUnsatisfiable": "DoNotSchedule"}, {"maxSkew": 1, "topologyKey": "k",
                "whenUnsatisfiable": "DoNotSchedule"}]),
            "spec.topologySpreadConstraints[0].{topologyKey, whenUnsatisfiable}: Duplicate value: \"{k, DoNotSchedule}\"",
        ),
        ("schedulingGates", json!([{"name": "a"}, {"name": "a"}]), "spec.schedulingGates[1]: Duplicate value: \"a\""),
        (
            "dnsConfig",
            json!({"nameservers": ["x"], "options": [{}]}),
            "spec.dnsConfig.nameservers[0]: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff); \
             spec.dnsConfig.options[0]: Required value: must not be empty",
        ),
        ("dnsPolicy", json!("None"), "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"),
        (
            "resourceClaims",
            json!([{"name": "a"}]),
            "spec.resourceClaims[0]: Invalid value: {\"Name\":\"a\",\"ResourceClaimName\":null,\"ResourceClaimTemplateName\":null}: \
             must specify one of: `resourceClaimName`, `resourceClaimTemplateName`",
        ),
        (
            "activeDeadlineSeconds",
            json!(0),
            "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
        ),
        (
            "preemptionPolicy",
            json!("X"),
            "spec.preemptionPolicy: Unsupported value: \"X\": supported values: \"PreemptLowerPriority\", \"Never\"",
        ),
        (
            "restartPolicy",
            json!("X"),
            "spec.restartPolicy: Unsupported value: \"X\": supported values: \"Always\", \"OnFailure\", \"Never\"",
        ),
    ];
    for (path, value, expected) in rows {
        assert_eq!(faults(&[(path, value)]), expected);
    }
}

#[test]
fn annotations() {
    let mut new = pod(&[]);
    let with = |new: &mut Value, annotations: Value| {
        new["metadata"]["annotations"] = annotations;
        let mut errors = Vec::new();
        super::check_create(new, &mut errors);
        texts(&errors)
    };
    let rows = [
        (json!({"controller.kubernetes.io/pod-deletion-cost": "7"}), ""),
        (
            json!({"controller.kubernetes.io/pod-deletion-cost": "07"}),
            "metadata.annotations[controller.kubernetes.io/pod-deletion-cost]: Invalid value: \"07\": must be a 32bit integer",
        ),
        (
            json!({"kubernetes.io/config.mirror": "x"}),
            "metadata.annotations[kubernetes.io/config.mirror]: Invalid value: \"x\": must set spec.nodeName if mirror pod annotation \
             is set",
        ),
        (
            json!({"container.apparmor.security.beta.kubernetes.io/x": "y"}),
            "metadata.annotations[container.apparmor.security.beta.kubernetes.io/x]: Invalid value: \"x\": container not found; \
             metadata.annotations[container.apparmor.security.beta.kubernetes.io/x]: Invalid value: \"y\": invalid AppArmor profile \
             name: \"y\"",
        ),
        (
            json!({"seccomp.security.alpha.kubernetes.io/pod": "x"}),
            "metadata.annotations.seccomp.security.alpha.kubernetes.io/pod: Invalid value: \"x\": must be a valid seccomp profile",
        ),
    ];
    for (annotations, expected) in rows {
        assert_eq!(with(&mut new, annotations), expected);
    }
}

#[test]
fn what_clients_are_told() {
    let warned = |changes: &[(&str, Value)]| {
        let mut warnings = Vec::new();
        super::warn(&pod(changes), &mut warnings);
        warnings.join("; ")
    };
    let rows: Vec<(Vec<(&str, Value)>, &str)> = vec![
        (vec![], ""),
        (
            vec![("terminationGracePeriodSeconds", json!(-1))],
            "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1",
        ),
        (
            vec![(
                "containers/0/env",
                json!([{"name": "A", "value": "1"}, {"name": "A", "value": "2"}, {"name": "A", "value": "$(A)3"}]),
            )],
            "spec.containers[0].env[1]: hides previous definition of \"A\", which may be dropped when using apply",
        ),
        (
            vec![(
                "containers/0/ports",
                json!([{"containerPort": 80, "protocol": "TCP"}, {"containerPort": 80, "protocol": "TCP"}]),
            )],
            "spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]",
        ),
        (
            vec![("containers/0/resources", json!({"requests": {"memory": "100m"}}))],
            "spec.containers[0].resources.requests[memory]: fractional byte value \"100m\" is invalid, must be an integer",
        ),
        (
            vec![("imagePullSecrets", json!([{"name": "a"}, {"name": "a"}, {}]))],
            "spec.imagePullSecrets[1].name: duplicate name \"a\"; spec.imagePullSecrets[2].name: invalid empty name \"\"",
        ),
        (
            vec![("topologySpreadConstraints", json!([{"topologyKey": "beta.kubernetes.io/os"}]))],
            "spec.topologySpreadConstraints[0].topologyKey: beta.kubernetes.io/os is deprecated since v1.14; use \"kubernetes.io/os\" \
             instead; spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod",
        ),
        (
            vec![("volumes", json!([{"name": "v", "configMap": {"name": "c", "items": [{"path": "a"}, {"path": "a/b"}]}}]))],
            "volume \"v\" (ConfigMap \"c\"): overlapping paths: \"a/b\" with \"a\"",
        ),
        (
            vec![(
                "affinity",
                json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "x"}]}}),
            )],
            "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].labelSelector: a null labelSelector \
             results in matching no pod",
        ),
    ];
    for (changes, expected) in rows {
        assert_eq!(warned(&changes), expected);
    }
}
