#!/usr/bin/env python3
"""Writes src/policy/bootstrap.txt and src/policy/profile.txt from the recorded facts.

Usage: tools/policy_facts.py [SHARED]      (default: ../shared, or $PORTCULLIS_SHARED)

Run it when the recordings change; the output is committed, the build never runs this.
"""
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
POLICY = os.path.join(HERE, "..", "src", "policy")
SHARED = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PORTCULLIS_SHARED", os.path.join(HERE, "..", "..", "shared"))

BOOTSTRAPPING = "kubernetes.io/bootstrapping"
EVERYBODY = ["system:discovery", "system:public-info-viewer", "system:basic-user"]

# Who they are, which bootstrap roles they hold, whose rows of the traffic are theirs, what is added and why.
COMPONENTS = [
    {
        "name": "kubelet", "match": ["group=system:nodes"], "roles": ["system:node"],
        "rows": lambda user, client: user.startswith("system:node:"),
    },
    {
        "name": "kube-proxy", "match": ["user=system:kube-proxy", "account=kube-system/kube-proxy"],
        "roles": ["system:node-proxier", "system:service-account-issuer-discovery"],
        "rows": lambda user, client: user == "system:kube-proxy",
    },
    {
        "name": "kube-controller-manager",
        "match": ["user=system:kube-controller-manager", "account=kube-system/kube-controller-manager"],
        "roles": ["system:kube-controller-manager", "kube-system/extension-apiserver-authentication-reader",
                  "kube-system/system::leader-locking-kube-controller-manager"],
        "rows": lambda user, client: user == "system:kube-controller-manager",
    },
    {
        "name": "kube-scheduler", "match": ["user=system:kube-scheduler", "account=kube-system/kube-scheduler"],
        "roles": ["system:kube-scheduler", "system:volume-scheduler",
                  "kube-system/extension-apiserver-authentication-reader",
                  "kube-system/system::leader-locking-kube-scheduler"],
        "rows": lambda user, client: user == "system:kube-scheduler",
    },
]
LAST = [
    {
        "name": "monitoring", "match": ["group=system:monitoring"], "roles": ["system:monitoring"],
        "rows": lambda user, client: False,
    },
    {
        "name": "kubectl", "match": ["group=system:masters", "group=kubeadm:cluster-admins"],
        "roles": ["system:aggregate-to-view", "system:aggregate-to-edit", "system:aggregate-to-admin"],
        "rows": lambda user, client: client == "kubectl",
        # An administrator works on kinds nobody knew beforehand, reads every path, and may act as somebody (capped as both).
        # A kubelet's own API behind nodes/proxy runs commands past admission and audit: the one door that stays shut.
        "more": ["get,list,watch,create,update,patch,delete,deletecollection * *", "get *",
                 "impersonate - users,groups,serviceaccounts", "impersonate authentication.k8s.io uids,userextras/*",
                 "approve certificates.k8s.io signers", "deny * - nodes/proxy"],
    },
]


def load(name):
    with open(os.path.join(SHARED, "oracle", "recorded", name)) as file:
        return json.load(file)


def listed(values):
    return ",".join(value if value else "-" for value in values)


def rule_line(rule):
    if "nonResourceURLs" in rule:
        return f"{listed(rule['verbs'])} {listed(rule['nonResourceURLs'])}"
    parts = [listed(rule["verbs"]), listed(rule["apiGroups"]), listed(rule["resources"])]
    if rule.get("resourceNames"):
        parts.append(listed(rule["resourceNames"]))
    return " ".join(parts)


def role_lines(role):
    metadata = role["metadata"]
    kind = "role" if "namespace" in metadata else "clusterrole"
    where = [metadata["namespace"]] if "namespace" in metadata else []
    labels = [f"{key}={value}" for key, value in sorted(metadata.get("labels", {}).items()) if key != BOOTSTRAPPING]
    yield " ".join([kind, *where, metadata["name"], *labels])
    for selector in role.get("aggregationRule", {}).get("clusterRoleSelectors", []):
        for key, value in selector["matchLabels"].items():
            yield f"  aggregate {key}={value}"
    for rule in role.get("rules") or []:
        yield "  " + rule_line(rule)


def subject_word(subject):
    name = f"{subject['namespace']}/{subject['name']}" if subject["kind"] == "ServiceAccount" else subject["name"]
    return f"{subject['kind']}={name}"


def binding_line(binding):
    metadata, role = binding["metadata"], binding["roleRef"]
    kind = "rolebinding" if "namespace" in metadata else "clusterrolebinding"
    where = [metadata["namespace"]] if "namespace" in metadata else []
    subjects = [subject_word(subject) for subject in binding.get("subjects") or []]
    return " ".join([kind, *where, metadata["name"], f"{role['kind']}={role['name']}", *subjects])


def controllers(bindings):
    """The service accounts of kube-system that bootstrap bindings name, with their roles."""
    accounts = {}
    for binding in bindings:
        for subject in binding.get("subjects") or []:
            if subject["kind"] != "ServiceAccount":
                continue
            name = subject["name"]
            if name in ("kube-controller-manager", "kube-scheduler", "kube-dns"):
                continue
            role = binding["roleRef"]["name"]
            if binding["roleRef"]["kind"] == "Role":
                role = f"{binding['metadata']['namespace']}/{role}"
            accounts.setdefault(name, []).append(role)
    for name, roles in sorted(accounts.items()):
        user = f"system:serviceaccount:kube-system:{name}"
        yield {
            "name": f"controller:{name}", "component": "controller", "match": [f"account=kube-system/{name}"],
            "roles": [*roles, "system:service-account-issuer-discovery"],
            "rows": lambda row_user, client, user=user: row_user == user,
        }


def traffic():
    with open(os.path.join(SHARED, "traffic", "components.tsv")) as file:
        keys = file.readline().rstrip("\n").split("\t")
        rows = [dict(zip(keys, line.rstrip("\n").split("\t"))) for line in file]
    # The custom resource of the recording; those who met it have wildcards.
    return [row for row in rows if row["group"] != "example.com"]


def seen(rows):
    """The rows as rules, those that differ in the verb only joined."""
    rules = {}
    for row in rows:
        verbs = {row["verb"]}
        if row["path"]:
            rules.setdefault((row["path"],), set()).update(verbs)
            continue
        resource = row["resource"] + (f"/{row['subresource']}" if row["subresource"] else "")
        if row["verb"] == "patch" and "force" in row["query"].split(",") and not row["subresource"]:
            verbs.add("create")
        spaces = row["namespaces"].split(",")
        where = ["-", listed(spaces)] if all(space.startswith("kube-") for space in spaces) else []
        rules.setdefault((listed([row["group"]]), resource, *where), set()).update(verbs)
    for key, verbs in sorted(rules.items()):
        yield " ".join([",".join(sorted(verbs)), *key])


def profile_lines(component, rows):
    words = ["profile", component["name"]]
    if "component" in component:
        words.append(f"component={component['component']}")
    yield " ".join(words + component["match"])
    for role in component["roles"] + EVERYBODY:
        yield f"  role {role}"
    for line in seen(row for row in rows if component["rows"](row["user"], row["client"])):
        yield f"  {line}"
    for line in component.get("more", []):
        yield f"  {line}"


def main():
    steps = load("11-bootstrap-roles.json")
    lists = [step["body"]["items"] for step in steps if "items" in step["body"]]
    roles, bindings = lists[0] + lists[2], lists[1] + lists[3]
    with open(os.path.join(POLICY, "bootstrap.txt"), "w") as file:
        print("# Kubernetes v1.36's RBAC objects. Written by tools/policy_facts.py.", file=file)
        print("# A rule: VERBS GROUPS RESOURCES [NAMES], or VERBS URLS. `-` is the empty string.", file=file)
        for role in roles:
            print("\n".join(role_lines(role)), file=file)
        for binding in bindings:
            print(binding_line(binding), file=file)
    rows = traffic()
    with open(os.path.join(POLICY, "profile.txt"), "w") as file:
        print("# What each component may do at most: its bootstrap roles, and what it was seen to ask. Written by tools/policy_facts.py.",
              file=file)
        print("# A rule: [deny] VERBS GROUPS RESOURCES [NAMES [NAMESPACES]], or [deny] VERBS URLS. `-` is the empty string, or any.",
              file=file)
        for component in [*COMPONENTS, *controllers(bindings), *LAST]:
            print("\n".join(profile_lines(component, rows)), file=file)


if __name__ == "__main__":
    main()
