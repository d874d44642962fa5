//! Roles, admission configuration and signing requests.

use serde_json::{Value, json};

use super::{creates, updates};
use crate::api::kinds::Part;

#[test]
fn roles() {
    creates(
        "rbac.authorization.k8s.io/v1 roles",
        &[
            (json!({"rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]}), &[]),
            (
                json!({"rules": [{}, {"nonResourceURLs": ["/x"], "resources": ["pods"]}]}),
                &[
                    "rules[0].verbs: Required value: verbs must contain at least one value",
                    "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
                    "rules[0].resources: Required value: resource rules must supply at least one resource",
                    "rules[1].verbs: Required value: verbs must contain at least one value",
                    "rules[1].nonResourceURLs: Invalid value: [\"/x\"]: namespaced rules cannot apply to non-resource URLs",
                    "rules[1].nonResourceURLs: Invalid value: [\"/x\"]: rules cannot apply to both regular resources and non-resource URLs",
                ],
            ),
            (json!({"metadata": {"name": "a%b"}}), &["metadata.name: Invalid value: \"a%b\": may not contain '%'"]),
        ],
    );
    creates(
        "rbac.authorization.k8s.io/v1 clusterroles",
        &[
            (
                json!({"aggregationRule": {}, "rules": null}),
                &[
                    "aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if aggregationRule is \
                     non-nil",
                ],
            ),
            (
                json!({"aggregationRule": {"clusterRoleSelectors": [{"matchExpressions": [{"key": "a", "operator": "In"}]}]}, "rules": null}),
                &[
                    "aggregationRule.clusterRoleSelectors[0].matchExpressions[0].values: Required value: must be specified when `operator` \
                     is 'In' or 'NotIn'",
                    "aggregationRule.clusterRoleSelectors[0]: Invalid value: null: invalid label selector.",
                ],
            ),
        ],
    );
}

#[test]
fn bindings() {
    creates(
        "rbac.authorization.k8s.io/v1 rolebindings",
        &[(
            json!({"roleRef": {"apiGroup": "x", "kind": "Group"}, "subjects": [
                {"kind": "User"}, {"kind": "ServiceAccount", "name": "A", "apiGroup": "x"}, {"kind": "X", "name": "x"},
                {"kind": "Group", "name": "g", "apiGroup": "x"}]}),
            &[
                "roleRef.apiGroup: Unsupported value: \"x\": supported values: \"rbac.authorization.k8s.io\"",
                "roleRef.kind: Unsupported value: \"Group\": supported values: \"Role\", \"ClusterRole\"",
                "roleRef.name: Required value",
                "subjects[0].name: Required value",
                "subjects[1].name: Invalid value: \"A\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric \
                 characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for \
                 validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
                "subjects[1].apiGroup: Unsupported value: \"x\": supported values: \"\"",
                "subjects[2].kind: Unsupported value: \"X\": supported values: \"ServiceAccount\", \"User\", \"Group\"",
                "subjects[3].apiGroup: Unsupported value: \"x\": supported values: \"rbac.authorization.k8s.io\"",
            ],
        )],
    );
    let binding = |role: &str| json!({"roleRef": {"kind": "ClusterRole", "name": role}});
    creates(
        "rbac.authorization.k8s.io/v1 clusterrolebindings",
        &[(
            json!({"roleRef": {"kind": "Role", "name": "r"}, "subjects": [{"kind": "ServiceAccount", "name": "a"}]}),
            &[
                "roleRef.kind: Unsupported value: \"Role\": supported values: \"ClusterRole\"",
                "subjects[0].namespace: Required value",
            ],
        )],
    );
    updates(
        "rbac.authorization.k8s.io/v1 clusterrolebindings",
        Part::Whole,
        &[(
            binding("a"),
            binding("b"),
            &[
                "roleRef: Invalid value: {\"APIGroup\":\"rbac.authorization.k8s.io\",\"Kind\":\"ClusterRole\",\"Name\":\"b\"}: cannot change \
               roleRef",
            ],
        )],
    );
}

#[test]
fn webhooks() {
    let good =
        json!({"name": "a.b.c", "sideEffects": "None", "admissionReviewVersions": ["v1"], "clientConfig": {"url": "https://a"}});
    let with = |member: &str, value: Value| {
        let mut hook = good.clone();
        hook[member] = value;
        hook
    };
    creates(
        "admissionregistration.k8s.io/v1 validatingwebhookconfigurations",
        &[
            (json!({"webhooks": [good]}), &[]),
            (
                json!({"webhooks": [{"clientConfig": {}}]}),
                &[
                    "webhooks[0].name: Required value",
                    "webhooks[0].sideEffects: Required value: must specify one of None, NoneOnDryRun",
                    "webhooks[0].clientConfig: Required value: exactly one of url or service is required",
                    "webhooks[0].admissionReviewVersions: Required value: must specify one of v1, v1beta1",
                ],
            ),
            (
                json!({"webhooks": [good, with("timeoutSeconds", json!(31)), with("sideEffects", json!("Some"))]}),
                &[
                    "webhooks[1].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds",
                    "webhooks[1].name: Duplicate value: \"a.b.c\"",
                    "webhooks[2].sideEffects: Unsupported value: \"Some\": supported values: \"None\", \"NoneOnDryRun\"",
                    "webhooks[2].name: Duplicate value: \"a.b.c\"",
                ],
            ),
            (
                json!({"webhooks": [with("name", json!("a.b")), with("admissionReviewVersions", json!(["v9", "v9"]))]}),
                &[
                    "webhooks[0].name: Invalid value: \"a.b\": should be a domain with at least three segments separated by dots",
                    "webhooks[1].admissionReviewVersions[1]: Invalid value: \"v9\": duplicate version",
                    "webhooks[1].admissionReviewVersions: Invalid value: [\"v9\",\"v9\"]: must include at least one of v1, v1beta1",
                ],
            ),
            (
                json!({"webhooks": [with("rules", json!([{"operations": ["*", "CREATE", "X"], "apiGroups": ["*", "a"], "apiVersions": ["", "*"],
                    "resources": ["pods/*", "pods/x", "*/*", "", "*", "a"], "scope": "Y"}, {}]))]}),
                &[
                    "webhooks[0].rules[0].operations: Invalid value: [\"*\",\"CREATE\",\"X\"]: if '*' is present, must not specify other \
                     operations",
                    "webhooks[0].rules[0].operations[2]: Unsupported value: \"X\": supported values: \"*\", \"CONNECT\", \"CREATE\", \
                     \"DELETE\", \"UPDATE\"",
                    "webhooks[0].rules[0].apiGroups: Invalid value: [\"*\",\"a\"]: if '*' is present, must not specify other API groups",
                    "webhooks[0].rules[0].apiVersions: Invalid value: [\"\",\"*\"]: if '*' is present, must not specify other API versions",
                    "webhooks[0].rules[0].apiVersions[0]: Required value",
                    "webhooks[0].rules[0].resources[1]: Invalid value: \"pods/x\": if 'pods/*' is present, must not specify pods/x",
                    "webhooks[0].rules[0].resources[3]: Required value",
                    "webhooks[0].rules[0].resources: Invalid value: [\"pods/*\",\"pods/x\",\"*/*\",\"\",\"*\",\"a\"]: if '*/*' is present, \
                     must not specify other resources",
                    "webhooks[0].rules[0].resources: Invalid value: [\"pods/*\",\"pods/x\",\"*/*\",\"\",\"*\",\"a\"]: if '*' is present, must \
                     not specify other resources without subresources",
                    "webhooks[0].rules[0].scope: Unsupported value: \"Y\": supported values: \"*\", \"Cluster\", \"Namespaced\"",
                    "webhooks[0].rules[1].operations: Required value",
                    "webhooks[0].rules[1].apiGroups: Required value",
                    "webhooks[0].rules[1].apiVersions: Required value",
                    "webhooks[0].rules[1].resources: Required value",
                ],
            ),
            (
                json!({"webhooks": [with("matchConditions", json!([{"name": "a"}, {"name": "a", "expression": "x"}, {"expression": "x"}]))]}),
                &[
                    "webhooks[0].matchConditions[0].expression: Required value",
                    "webhooks[0].matchConditions[1].name: Duplicate value: \"a\"",
                    "webhooks[0].matchConditions[2].name: Required value",
                ],
            ),
        ],
    );
    let faulty = with("sideEffects", json!("Some"));
    updates(
        "admissionregistration.k8s.io/v1 validatingwebhookconfigurations",
        Part::Whole,
        &[
            (json!({"webhooks": [faulty]}), json!({"webhooks": [faulty]}), &[]),
            (
                json!({"webhooks": [good]}),
                json!({"webhooks": [faulty]}),
                &["webhooks[0].sideEffects: Unsupported value: \"Some\": supported values: \"None\", \"NoneOnDryRun\""],
            ),
        ],
    );
}

#[test]
fn admission_policies() {
    let constraints =
        json!({"resourceRules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}]});
    creates(
        "admissionregistration.k8s.io/v1 validatingadmissionpolicies",
        &[
            (json!({"spec": {"matchConstraints": constraints, "validations": [{"expression": "true"}]}}), &[]),
            (
                json!({"spec": {"paramKind": {"apiVersion": "a/b/c"}}}),
                &[
                    "spec.paramKind.apiVersion: Invalid value: \"a/b/c\": unexpected GroupVersion string: a/b/c",
                    "spec.paramKind.kind: Required value",
                    "spec.matchConstraints: Required value",
                    "spec.validations: Required value: validations or auditAnnotations must contain at least one item",
                    "spec.auditAnnotations: Required value: validations or auditAnnotations must contain at least one item",
                ],
            ),
            (
                json!({"spec": {"failurePolicy": "X", "matchConstraints": {}, "variables": [{"name": "if", "expression": ""}],
                    "validations": [{"expression": " ", "message": "a\nb", "messageExpression": " ", "reason": "No"}],
                    "auditAnnotations": [{"key": "k", "valueExpression": ""}, {"key": "k", "valueExpression": "x"}]}}),
                &[
                    "spec.failurePolicy: Unsupported value: \"X\": supported values: \"Fail\", \"Ignore\"",
                    "spec.matchConstraints.resourceRules: Required value",
                    "spec.variables[0].name: Invalid value: \"if\": must be a valid CEL identifier",
                    "spec.variables[0].expression: Required value: expression is not specified",
                    "spec.validations[0].expression: Required value: expression is not specified",
                    "spec.validations[0].messageExpression: Invalid value: \" \": must be non-empty if specified",
                    "spec.validations[0].message: Invalid value: \"a\\nb\": must not contain line breaks",
                    "spec.validations[0].reason: Unsupported value: \"No\": supported values: \"Forbidden\", \"Invalid\", \
                     \"RequestEntityTooLarge\"",
                    "spec.auditAnnotations[0].valueExpression: Required value: valueExpression is not specified",
                    "spec.auditAnnotations[1].key: Duplicate value: \"k\"",
                ],
            ),
        ],
    );
    creates(
        "admissionregistration.k8s.io/v1 validatingadmissionpolicybindings",
        &[
            (
                json!({"spec": {}}),
                &[
                    "spec.policyName: Required value",
                    "spec.validationActions: Required value: at least one validation action is required",
                ],
            ),
            (
                json!({"spec": {"policyName": "p", "validationActions": ["Deny", "Warn", "Deny", "X"], "paramRef": {}}}),
                &[
                    "spec.paramRef: Required value: one of name or selector must be specified",
                    "spec.paramRef.parameterNotFoundAction: Required value",
                    "spec.validationActions[2]: Duplicate value: \"Deny\"",
                    "spec.validationActions[3]: Unsupported value: \"X\": supported values: \"Audit\", \"Deny\", \"Warn\"",
                    "spec.validationActions: Invalid value: [\"Deny\",\"Warn\",\"Deny\",\"X\"]: must not contain both Deny and Warn (repeating \
                     the same validation failure information in the API response and headers serves no purpose)",
                ],
            ),
        ],
    );
    let mut deleting = constraints.clone();
    deleting["resourceRules"][0]["operations"] = json!(["DELETE"]);
    creates(
        "admissionregistration.k8s.io/v1 mutatingadmissionpolicies",
        &[(
            json!({"spec": {"matchConstraints": deleting, "mutations": [{"patchType": "JSONPatch", "applyConfiguration": {"expression": "x"}},
                {"patchType": "X"}, {}]}}),
            &[
                "spec.matchConstraints.resourceRules.operations: Unsupported value: \"DELETE\": supported values: \"*\", \"CONNECT\", \
                 \"CREATE\", \"UPDATE\"",
                "spec.mutations[0].jsonPatch: Required value: must be specified when patchType is JSONPatch",
                "spec.mutations[0].applyConfiguration: Invalid value: \"{applyConfiguration}\": must not be specified when patchType is \
                 JSONPatch",
                "spec.mutations[1].patchType: Unsupported value: \"X\": supported values: \"ApplyConfiguration\", \"JSONPatch\"",
                "spec.mutations[2].patchType: Required value",
                "spec.reinvocationPolicy: Required value",
            ],
        )],
    );
}

#[test]
fn signing_requests() {
    creates(
        "certificates.k8s.io/v1 certificatesigningrequests",
        &[(
            json!({"spec": {"request": "eA==", "usages": ["x", "any", "any"], "signerName": "a/b", "expirationSeconds": 599}}),
            &[
                "spec.request: Invalid value: \"eA==\": PEM block type must be CERTIFICATE REQUEST",
                "spec.usages[0]: Unsupported value: \"x\": supported values: \"any\", \"cert sign\", \"client auth\", \"code signing\", \
                 \"content commitment\", \"crl sign\", \"data encipherment\", \"decipher only\", \"digital signature\", \"email \
                 protection\", \"encipher only\", \"ipsec end system\", \"ipsec tunnel\", \"ipsec user\", \"key agreement\", \"key \
                 encipherment\", \"microsoft sgc\", \"netscape sgc\", \"ocsp signing\", \"s/mime\", \"server auth\", \"signing\", \
                 \"timestamping\"",
                "spec.usages[2]: Duplicate value: \"any\"",
                "spec.signerName: Invalid value: \"a\": should be a domain with at least two segments separated by dots",
                "spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 600 seconds (10 minutes)",
            ],
        )],
    );
    let request = "eA==";
    let with = |status: Value| json!({"spec": {"request": request, "usages": ["any"], "signerName": "a.b/c"}, "status": status});
    let block = "spec.request: Invalid value: \"eA==\": PEM block type must be CERTIFICATE REQUEST";
    updates(
        "certificates.k8s.io/v1 certificatesigningrequests",
        Part::Approval,
        &[(
            with(json!({"conditions": [{"type": "Approved", "status": "True"}]})),
            with(
                json!({"conditions": [{"type": "Denied", "status": "False"}, {"type": "", "status": ""}, {"type": "X", "status": "y"}]}),
            ),
            &[
                block,
                "status.conditions[0].status: Unsupported value: \"False\": supported values: \"True\"",
                "status.conditions[1].type: Required value",
                "status.conditions[1].status: Required value",
                "status.conditions[2].status: Unsupported value: \"y\": supported values: \"False\", \"True\", \"Unknown\"",
                "status.conditions: Forbidden: updates may not remove a condition of type \"Approved\"",
            ],
        )],
    );
    updates(
        "certificates.k8s.io/v1 certificatesigningrequests",
        Part::Status,
        &[(
            with(json!({})),
            with(json!({"certificate": "eA=="})),
            &[
                block,
                "status.certificate: Invalid value: \"<certificate data>\": must contain at least one CERTIFICATE PEM block",
            ],
        )],
    );
}
