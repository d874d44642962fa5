#!/usr/bin/env python3
"""Writes src/schema/types.txt from a facts file: tools/types.py types-1.36.jsonl > src/schema/types.txt

A block is a type; its first line is the OpenAPI name without `io.k8s.` and what is said of the type:
  kind=group/version/Kind (`*` where every group serves it), is=form, atomic, union
A further line is a field: name, shape, protobuf number (2.1: member 1 of inlined member 2; `-`: none), then what is said of it:
  `*` pointer, `?` left out when empty, `?zero` left out when zero, `!` required, list=map:key,key|set|atomic
  map=atomic|granular, patch=strategy, key=merge key, default=JSON, enum=JSON (last: it may hold spaces)
Shapes: string bytes int32 int64 double bool, @type, []shape, {}shape (a map from strings).
"""
import json
import sys

SCALARS = {
    "string": "string", "string:byte": "bytes", "boolean": "bool", "number:double": "double",
    "integer:int32": "int32", "integer:int64": "int64",
}
META = "apimachinery.pkg.apis.meta.v1."
DISCOVERY = "api.apidiscovery.v2."

# Messages without an OpenAPI type: their kinds, and what JSON leaves out or points to.
KINDS = {
    META + "PartialObjectMetadata": ["meta.k8s.io", "v1", "PartialObjectMetadata"],
    META + "PartialObjectMetadataList": ["meta.k8s.io", "v1", "PartialObjectMetadataList"],
    META + "APIGroupList": ["", "v1", "APIGroupList"],
    META + "APIVersions": ["", "v1", "APIVersions"],
    "api.core.v1.RangeAllocation": ["", "v1", "RangeAllocation"],
    DISCOVERY + "APIGroupDiscoveryList": ["apidiscovery.k8s.io", "v2", "APIGroupDiscoveryList"],
}
OMITTED = {
    DISCOVERY + "APIGroupDiscovery": ["versions"],
    DISCOVERY + "APIVersionDiscovery": ["freshness", "resources"],
    DISCOVERY + "APIResourceDiscovery": ["categories", "responseKind", "shortNames", "subresources"],
    DISCOVERY + "APISubresourceDiscovery": ["acceptedTypes", "responseKind"],
}
MISSING = [{
    "name": META + "GroupVersionKind",
    "fields": {name: {"type": "string", "n": n} for n, name in enumerate(["group", "version", "kind"], 1)},
}]


def completed(kind):
    name = kind["name"]
    if name in KINDS:
        kind["gvk"] = KINDS[name]
        for member in ("apiVersion", "kind"):
            kind["fields"].setdefault(member, {"type": "string", "omit": "empty"})
    for member in OMITTED.get(name, []):
        kind["fields"][member]["omit"] = "empty"
        if member == "responseKind":
            kind["fields"][member]["ptr"] = True
    return kind


def shape(field):
    if "list" in field:
        return "[]" + shape(field["list"])
    if "map" in field:
        return "{}" + shape(field["map"])
    return "@" + field["ref"] if "ref" in field else SCALARS[field["type"]]


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True)


def line(name, field):
    number = field.get("n", "-")
    words = [name, shape(field), ".".join(map(str, number)) if isinstance(number, list) else str(number)]
    words += ["*"] * field.get("ptr", False) + ["!"] * field.get("req", False)
    words += {"empty": ["?"], "zero": ["?zero"], None: []}[field.get("omit")]
    if "listType" in field:
        keys = ":" + ",".join(field["keys"]) if "keys" in field else ""
        words.append("list=" + field["listType"] + keys)
    words += [said + field[fact] for fact, said in (("mapType", "map="), ("patch", "patch="), ("mergeKey", "key=")) if fact in field]
    if "default" in field:
        words.append("default=" + compact(field["default"]))
    enum = field.get("enum", field.get("list", {}).get("enum"))
    if enum:
        words.append("enum=" + compact(enum))
    return " ".join(words)


def block(kind):
    words = [kind["name"]]
    if "gvk" in kind:
        words.append("kind=" + ("*/*/" + kind["name"].rsplit(".", 1)[1] if kind["gvk"] == "any" else "/".join(kind["gvk"])))
    if "is" in kind:
        words.append("is=" + kind["is"])
    words += ["atomic"] * (kind.get("mapType") == "atomic") + ["union"] * kind.get("union", False)
    fields = sorted(kind.get("fields", {}).items())
    return "\n".join([" ".join(words)] + ["  " + line(name, field) for name, field in fields])


def main():
    with open(sys.argv[1]) as facts:
        kinds = [completed(json.loads(text)) for text in facts]
    kinds = sorted(kinds + MISSING, key=lambda kind: kind["name"])
    print("\n".join(block(kind) for kind in kinds))


main()
