use serde_json::{Value, json};

use super::claim;
use crate::api::kinds::Part;
use crate::api::kinds::testing::{changes, faults, warnings};

fn check(kind: &str, rows: Vec<(Value, &[&str])>) {
    for (fragment, expected) in rows {
        assert_eq!(faults(kind, fragment.clone()), expected, "{fragment}");
    }
}

fn volume(more: Value) -> Value {
    let mut spec = json!({"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]});
    for (member, value) in more.as_object().into_iter().flatten() {
        spec[member] = value.clone();
    }
    json!({"spec": spec})
}

#[test]
fn volumes() {
    let path = json!({"path": "/x"});
    check(
        "persistentvolumes",
        vec![
            (volume(json!({"hostPath": path})), &[]),
            (volume(json!({})), &["spec: Required value: must specify a volume type"]),
            (
                json!({"spec": {"hostPath": path}}),
                &[
                    "spec.accessModes: Required value",
                    "spec.capacity: Required value",
                    "spec.capacity: Unsupported value: null: supported values: \"storage\"",
                ],
            ),
            (
                volume(json!({"hostPath": path, "nfs": {"server": "s", "path": "/"}})),
                &["spec.nfs: Forbidden: may not specify more than 1 volume type"],
            ),
            (
                volume(
                    json!({"hostPath": path, "accessModes": ["ReadWriteOncePod", "ReadWriteOnce", "X"], "capacity": {"storage": "0"}}),
                ),
                &[
                    "spec.accessModes: Unsupported value: \"X\": supported values: \"ReadOnlyMany\", \"ReadWriteMany\", \
                     \"ReadWriteOnce\", \"ReadWriteOncePod\"",
                    "spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes",
                    "spec.capacity[storage]: Invalid value: \"0\": must be greater than zero",
                ],
            ),
            (
                volume(json!({"hostPath": {"path": "/../"}, "persistentVolumeReclaimPolicy": "Recycle", "volumeMode": "X"})),
                &[
                    "spec.hostPath.path: Invalid value: \"/../\": must not contain '..'",
                    "spec.persistentVolumeReclaimPolicy: Forbidden: may not be 'recycle' for a hostPath mount of '/'",
                    "spec.volumeMode: Unsupported value: \"X\": supported values: \"Block\", \"Filesystem\"",
                ],
            ),
            (
                volume(json!({"local": {"path": "/x"}})),
                &["spec.nodeAffinity: Required value: Local volume requires node affinity"],
            ),
            (
                volume(
                    json!({"hostPath": path, "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a",
                    "operator": "In"}, {"key": "a", "operator": "X"}], "matchFields": [{"key": "a", "operator": "In", "values": ["b"]}]}]}}}),
                ),
                &[
                    "spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0].values: Required value: must be specified \
                     when `operator` is 'In' or 'NotIn'",
                    "spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[1].operator: Invalid value: \"X\": not a valid \
                     selector operator",
                    "spec.nodeAffinity.required.nodeSelectorTerms[0].matchFields[0].key: Invalid value: \"a\": not a valid field \
                     selector key",
                ],
            ),
            (
                volume(json!({"hostPath": path, "volumeAttributesClassName": ""})),
                &[
                    "spec.volumeAttributesClassName: Required value: an empty string is disallowed",
                    "spec.csi: Required value: has to be specified when using volumeAttributesClassName",
                ],
            ),
        ],
    );
}

#[test]
fn sources() {
    check(
        "persistentvolumes",
        vec![
            (
                volume(json!({"gcePersistentDisk": {"pdName": "", "partition": 256}})),
                &[
                    "spec.persistentDisk.pdName: Required value",
                    "spec.persistentDisk.partition: Invalid value: 256: must be between 1 and 255, inclusive",
                ],
            ),
            (
                volume(json!({"nfs": {"server": "", "path": "x"}})),
                &["spec.nfs.server: Required value", "spec.nfs.path: Invalid value: \"x\": must be an absolute path"],
            ),
            (volume(json!({"iscsi": {"targetPortal": "t", "iqn": "iqn.2004-10.com.example:x", "lun": 1}})), &[]),
            (
                volume(json!({"iscsi": {"targetPortal": "t", "iqn": "iqn.204-10.com:x", "lun": 256, "chapAuthSession": true}})),
                &[
                    "spec.iscsi.iqn: Invalid value: \"iqn.204-10.com:x\": must be valid format",
                    "spec.iscsi.lun: Invalid value: 256: must be between 0 and 255, inclusive",
                    "spec.iscsi.secretRef: Required value",
                ],
            ),
            (
                volume(json!({"fc": {}})),
                &["spec.fc.targetWWNs: Required value: must specify either targetWWNs or wwids, but not both"],
            ),
            (
                volume(json!({"fc": {"targetWWNs": ["a"]}})),
                &["spec.fc.lun: Required value: lun is required if targetWWNs is specified"],
            ),
            (
                volume(json!({"flexVolume": {"driver": "", "options": {"k8s.io/x": "y"}}})),
                &[
                    "spec.flexVolume.driver: Required value",
                    "spec.flexVolume.options[k8s.io/x]: Invalid value: \"k8s.io/x\": kubernetes.io and k8s.io namespaces are reserved",
                ],
            ),
            (
                volume(json!({"quobyte": {"registry": "a", "volume": ""}})),
                &[
                    "spec.quobyte.registry: Invalid value: \"a\": must be a host:port pair or multiple pairs separated by commas",
                    "spec.quobyte.volume: Required value",
                ],
            ),
            (
                volume(json!({"azureDisk": {"diskName": "d", "diskURI": "x"}})),
                &["spec.azureDisk.diskURI: Unsupported value: \"x\": supported values: \
                 \"https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd\""],
            ),
            (volume(json!({"cephfs": {"monitors": []}})), &["spec.cephfs.monitors: Required value"]),
            (
                volume(json!({"csi": {"driver": "", "volumeHandle": "", "nodePublishSecretRef": {"name": "s"}}})),
                &[
                    "spec.csi.driver: Required value",
                    "spec.csi.driver: Invalid value: \"\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric \
                 characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for \
                 validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
                    "spec.csi.volumeHandle: Required value",
                    "spec.csi.nodePublishSecretRef.namespace: Required value",
                ],
            ),
        ],
    );
}

#[test]
fn changes_of_volumes() {
    let with = |path: &str| volume(json!({"hostPath": {"path": path}}));
    let told = changes("persistentvolumes", Part::Whole, with("/y"), with("/x"));
    assert_eq!(
        told,
        ["spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation\n@@ -2,7 +2,7 @@\n  \
          \"GCEPersistentDisk\": null,\n  \"AWSElasticBlockStore\": null,\n  \"HostPath\": {\n-  \"Path\": \"/x\",\n+  \"Path\": \"/y\",\n   \
          \"Type\": \"\"\n  },\n  \"Glusterfs\": null,\n"]
    );
    let mut block = with("/x");
    block["spec"]["volumeMode"] = json!("Block");
    assert_eq!(
        changes("persistentvolumes", Part::Whole, block, with("/x")),
        ["volumeMode: Invalid value: \"Block\": field is immutable"]
    );
    let near = |key: &str| {
        let term = json!({"matchExpressions": [{"key": key, "operator": "Exists"}]});
        volume(json!({"hostPath": {"path": "/x"}, "nodeAffinity": {"required": {"nodeSelectorTerms": [term]}}}))
    };
    let old = || near("failure-domain.beta.kubernetes.io/zone");
    assert_eq!(changes("persistentvolumes", Part::Whole, near("topology.kubernetes.io/zone"), old()), Vec::<String>::new());
    assert_eq!(
        changes("persistentvolumes", Part::Whole, near("a"), old()),
        [
            "nodeAffinity: Invalid value: {\"Required\":{\"NodeSelectorTerms\":[{\"MatchExpressions\":[{\"Key\":\"a\",\"Operator\":\
          \"Exists\",\"Values\":null}],\"MatchFields\":null}]}}: field is immutable, except for updating from beta label to GA"
        ]
    );
    assert_eq!(
        warnings("persistentvolumes", volume(json!({"rbd": {}, "persistentVolumeReclaimPolicy": "Recycle"}))),
        [
            "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use \
             dynamic provisioning.",
            "spec.rbd: deprecated in v1.28, non-functional in v1.31+",
        ]
    );
}

fn of_claim(more: Value) -> Value {
    let mut spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}});
    for (member, value) in more.as_object().into_iter().flatten() {
        spec[member] = value.clone();
    }
    json!({"spec": spec})
}

#[test]
fn claims() {
    check(
        "persistentvolumeclaims",
        vec![
            (of_claim(json!({})), &[]),
            (
                json!({"spec": {}}),
                &[
                    "spec.accessModes: Required value: at least 1 access mode is required",
                    "spec.resources[storage]: Required value",
                ],
            ),
            (
                of_claim(json!({"resources": {"requests": {"storage": "-1"}}, "volumeMode": "X"})),
                &[
                    "spec.resources[storage]: Invalid value: \"-1\": must be greater than zero",
                    "spec.volumeMode: Unsupported value: \"X\": supported values: \"Block\", \"Filesystem\"",
                ],
            ),
            (
                of_claim(json!({"dataSource": {"kind": "PersistentVolumeClaim", "name": "a"}, "dataSourceRef": {"kind":
                    "PersistentVolumeClaim", "name": "b"}})),
                &["spec: Invalid value: {}: must match dataSourceRef"],
            ),
            (
                of_claim(json!({"dataSourceRef": {"kind": "Pod", "name": ""}})),
                &[
                    "spec.dataSourceRef.name: Required value",
                    "spec.dataSourceRef: Invalid value: \"Pod\": must be 'PersistentVolumeClaim' when referencing the default apiGroup",
                ],
            ),
        ],
    );
}

#[test]
fn changes_of_claims() {
    let told = |new: Value, phase: &str, capacity: &str| {
        let state = json!({"phase": phase, "capacity": {"storage": capacity}});
        let mut old = of_claim(json!({}));
        old["status"] = state;
        changes("persistentvolumeclaims", Part::Whole, of_claim(new), old)
    };
    let size = |size: &str| json!({"resources": {"requests": {"storage": size}}});
    assert_eq!(told(size("3Gi"), "Bound", "2Gi"), Vec::<String>::new());
    assert_eq!(told(json!({"volumeName": "v", "storageClassName": "s"}), "Pending", "0"), Vec::<String>::new());
    assert_eq!(
        told(size("1Gi"), "Bound", "1Gi"),
        ["spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"]
    );
    assert_eq!(
        told(size("3Gi"), "Pending", "0"),
        ["spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound \
          claims\n@@ -6,7 +6,7 @@\n  \"Resources\": {\n   \"Limits\": null,\n   \"Requests\": {\n-   \"storage\": \"2Gi\"\n+   \"storage\": \
          \"3Gi\"\n   }\n  },\n  \"VolumeName\": \"\",\n"]
    );
}

#[test]
fn data_of_claims_is_told_in_both_ways() {
    let own = json!({"kind": "PersistentVolumeClaim", "name": "a"});
    let strange = json!({"apiGroup": "a.b", "kind": "K", "name": "a"});
    let far = json!({"kind": "PersistentVolumeClaim", "name": "a", "namespace": "n"});
    for (spec, source, reference) in [
        (json!({"dataSource": own}), &own, &own),
        (json!({"dataSourceRef": strange}), &strange, &strange),
        (json!({"dataSource": strange}), &Value::Null, &Value::Null),
        (json!({"dataSourceRef": far}), &Value::Null, &Value::Null),
    ] {
        let mut claim = json!({"spec": spec});
        claim::prepare(&mut claim, None);
        assert_eq!((&claim["spec"]["dataSource"], &claim["spec"]["dataSourceRef"]), (source, reference));
    }
}

#[test]
fn classes() {
    check(
        "storage.k8s.io/storageclasses",
        vec![
            (json!({"provisioner": "a.b/c"}), &[]),
            (
                json!({"parameters": {"": "x"}, "reclaimPolicy": "Recycle", "volumeBindingMode": "X"}),
                &[
                    "provisioner: Required value",
                    "parameters: Invalid value: \"\": field can not be empty.",
                    "reclaimPolicy: Unsupported value: \"Recycle\": supported values: \"Delete\", \"Retain\"",
                    "volumeBindingMode: Unsupported value: \"X\": supported values: \"Immediate\", \"WaitForFirstConsumer\"",
                ],
            ),
            (
                json!({"provisioner": "a", "allowedTopologies": [{"matchLabelExpressions": [{"key": "a", "values": []}, {"key": "a",
                    "values": ["b", "b"]}]}]}),
                &[
                    "allowedTopologies[0].matchLabelExpressions[0].values: Required value",
                    "allowedTopologies[0].matchLabelExpressions[1].values[1]: Duplicate value: \"b\"",
                    "allowedTopologies[0].matchLabelExpressions[1].key: Duplicate value: \"a\"",
                ],
            ),
        ],
    );
    let with = |provisioner: &str, value: &str| json!({"provisioner": provisioner, "parameters": {"a": value}});
    assert_eq!(
        changes("storage.k8s.io/storageclasses", Part::Whole, with("b", "2"), with("a", "1")),
        [
            "parameters: Forbidden: updates to parameters are forbidden.",
            "provisioner: Forbidden: updates to provisioner are forbidden."
        ]
    );
    check(
        "storage.k8s.io/volumeattributesclasses",
        vec![(json!({"driverName": "d"}), &["parameters: Required value: must contain at least one key/value pair"])],
    );
}

#[test]
fn attachments() {
    let with = |source: Value| json!({"spec": {"attacher": "a.b", "nodeName": "n", "source": source}});
    check(
        "storage.k8s.io/volumeattachments",
        vec![
            (with(json!({"persistentVolumeName": "p"})), &[]),
            (
                with(json!({})),
                &["spec.source: Required value: must specify exactly one of inlineVolumeSpec and persistentVolumeName"],
            ),
            (
                with(json!({"persistentVolumeName": "p", "inlineVolumeSpec": {}})),
                &["spec.source: Forbidden: must specify exactly one of inlineVolumeSpec and persistentVolumeName"],
            ),
            (
                with(json!({"inlineVolumeSpec": {"capacity": {"storage": "1"}, "hostPath": {"path": "/"}}})),
                &[
                    "spec.source.inlineVolumeSpec.capacity: Forbidden: may not be specified in the context of inline volumes",
                    "spec.source.inlineVolumeSpec.csi: Required value: has to be specified in the context of inline volumes",
                    "spec.source.inlineVolumeSpec.accessModes: Required value",
                ],
            ),
        ],
    );
    let told = changes(
        "storage.k8s.io/volumeattachments",
        Part::Whole,
        with(json!({"persistentVolumeName": "q"})),
        with(json!({"persistentVolumeName": "p"})),
    );
    assert_eq!(
        told,
        [
            "spec: Invalid value: {\"Attacher\":\"a.b\",\"Source\":{\"PersistentVolumeName\":\"q\",\"InlineVolumeSpec\":null},\"NodeName\":\
          \"n\"}: field is immutable"
        ]
    );
}

#[test]
fn drivers() {
    check(
        "storage.k8s.io/csidrivers",
        vec![
            (json!({"spec": {}}), &[]),
            (
                json!({"spec": {"fsGroupPolicy": "X", "tokenRequests": [{"audience": "a", "expirationSeconds": 1}, {"audience": "a"}],
                    "volumeLifecycleModes": ["Y"], "nodeAllocatableUpdatePeriodSeconds": 1}}),
                &[
                    "spec.fsGroupPolicy: Unsupported value: \"X\": supported values: \"File\", \"None\", \"ReadWriteOnceWithFSType\"",
                    "spec.tokenRequests[0].expirationSeconds: Invalid value: 1: may not specify a duration less than 10 minutes",
                    "spec.tokenRequests[1].audience: Duplicate value: \"a\"",
                    "spec.volumeLifecycleModes: Unsupported value: \"Y\": supported values: \"Persistent\", \"Ephemeral\"",
                    "spec.nodeAllocatableUpdatePeriodSeconds: Invalid value: 1: must be greater than or equal to 10 seconds",
                ],
            ),
        ],
    );
    let with = |attach: bool| json!({"spec": {"attachRequired": attach}});
    assert_eq!(
        changes("storage.k8s.io/csidrivers", Part::Whole, with(false), with(true)),
        ["spec.attachedRequired: Invalid value: false: field is immutable"]
    );
    check(
        "storage.k8s.io/csinodes",
        vec![(
            json!({"spec": {"drivers": [{"name": "a", "nodeID": "n", "topologyKeys": ["k", "k"]}, {"name": "a", "nodeID": ""}]}}),
            &[
                "spec.drivers[0]: Duplicate value: \"k\"",
                "spec.drivers[1].nodeID: Required value",
                "spec.drivers[1].name: Duplicate value: \"a\"",
            ],
        )],
    );
    let with = |id: &str| json!({"spec": {"drivers": [{"name": "a", "nodeID": id, "topologyKeys": null}]}});
    assert_eq!(
        changes("storage.k8s.io/csinodes", Part::Whole, with("2"), with("1")),
        [
            "spec.drivers: Invalid value: {\"Name\":\"a\",\"NodeID\":\"2\",\"TopologyKeys\":null,\"Allocatable\":null}: field is immutable"
        ]
    );
    let with = |class: &str| json!({"storageClassName": class, "capacity": "-1"});
    assert_eq!(
        changes("storage.k8s.io/csistoragecapacities", Part::Whole, with("b"), with("a")),
        [
            "capacity: Invalid value: \"-1\": must be greater than or equal to 0",
            "storageClassName: Invalid value: \"b\": field is immutable",
        ]
    );
}
