//! Request lines: `GET /api/v1/pods?limit=1`. What is read must be safe to use as parts of a key, and the options must have their say.
#![no_main]

use http::{Method, Uri};
use libfuzzer_sys::fuzz_target;
use portcullis::request::{
    Attributes, CreateOptions, DeleteOptions, GetOptions, ListOptions, PatchManner, PatchOptions, Query, Target, Verb,
    segment_fault,
};

fuzz_target!(|data: &[u8]| {
    let Some((method, uri)) = std::str::from_utf8(data).ok().and_then(|line| line.split_once(' ')) else { return };
    let (Ok(method), Ok(uri)) = (method.parse::<Method>(), uri.parse::<Uri>()) else { return };
    let attributes = Attributes::parse(&method, &uri);
    attributes.is_long_running();
    if let Target::Resource(resource) = &attributes.target {
        let parts =
            [&resource.group, &resource.version, &resource.resource, &resource.subresource, &resource.namespace, &resource.name];
        assert!(parts.iter().all(|part| !part.contains('/')), "{resource:?}");
        if matches!(attributes.verb, Verb::List | Verb::Watch) && !uri.path().contains("/watch/") && !resource.name.is_empty() {
            assert_eq!(segment_fault(&resource.name), None);
        }
        resource.qualified();
    }
    options(&Query::parse(uri.query().unwrap_or_default()));
});

fn options(query: &Query<'_>) {
    assert_eq!(query.is_empty(), query.len() == 0);
    query.pretty();
    let _ = query.timeout();
    GetOptions::parse(query);
    if let Ok(options) = ListOptions::parse(query) {
        options.faults();
    }
    let create = CreateOptions::parse(query);
    assert!(!create.is_dry_run() || query.all("dryRun").any(|value| value == "All") || !create.faults().is_empty());
    let patch = PatchOptions::parse(query);
    patch.faults(PatchManner::Apply);
    patch.faults(PatchManner::Other);
    if let Ok(delete) = DeleteOptions::parse(query) {
        delete.faults();
        delete.is_dry_run();
    }
}
