//! Server-side apply: what is applied is there, twice is once, and nobody owns what is not there.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use portcullis::schema::own::{
    ApplyError, Context, Filter, Force, Managed, Manager, OneVersion, Sent, compare, keep_times, on_apply, on_create, on_update,
};
use portcullis::schema::{Encoding, Schema};
use serde_json::{Value, json};

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    portcullis_fuzz::documents(data, size, max_size, seed)
});

fuzz_target!(|data: &[u8]| {
    let Some((live, config)) = portcullis_fuzz::two(data) else { return };
    let schema = portcullis_fuzz::schema(live, Encoding::Json);
    if !portcullis_fuzz::is_managed(&schema) {
        return;
    }
    let (Some(live), Ok(config)) = (portcullis_fuzz::stored(&schema, live), schema.read(config, Encoding::Json)) else { return };
    let mut config = config.value;
    portcullis_fuzz::name(&schema, &mut config);
    let version = schema.gvk().api_version();
    let manager = |name| Manager { name, subresource: "", api_version: &version, time: "2026-01-01T00:00:00Z" };
    let (a, b) = (manager("a"), manager("b"));
    let context = |manager| Context { schema: &schema, manager, filter: &Filter::All, versions: &OneVersion };

    // As it came, whatever managedFields say in it.
    let _ = on_apply(&context(&b), Some(&live), &config, Force::No);
    let mut made = live.clone();
    let sent = Sent::take(&mut made);
    on_create(&context(&a), &mut made, sent);

    let Ok(applied) = on_apply(&context(&b), Some(&made), &config, Force::Yes) else { return };
    let mut applied = applied.object;
    owned_is_there(&schema, &applied);
    schema.normalise(&mut applied);
    let mut twice = match on_apply(&context(&b), Some(&applied), &config, Force::No) {
        Ok(again) => again.object,
        // An empty name is not written: then an item has lost its key.
        Err(ApplyError::Failed(_)) => return,
        Err(why) => panic!("nobody else owns it: {why}"),
    };
    schema.normalise(&mut twice);
    keep_times(&applied, &mut twice);
    assert_eq!(twice, applied);

    let mut updated = live.clone();
    let sent = Sent::take(&mut updated);
    on_update(&context(&a), &applied, &mut updated, sent);
    schema.normalise(&mut updated);
});

fn owned_is_there(schema: &Schema, object: &Value) {
    let nothing = json!({});
    let Ok(there) = compare(schema, &nothing, object) else { return };
    let managed = Managed::of(object).expect("what was written can be read");
    for entry in managed.entries.iter().filter(|entry| entry.owner.manager == "b") {
        let beyond = entry.fields.set().difference(&there.added);
        assert!(beyond.is_empty(), "{} in {object}", beyond.json());
    }
}
