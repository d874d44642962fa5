//! The schema engine from end to end: read, default, normalise, write, protobuf, YAML, and back.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use portcullis::schema::{Encoding, write};

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    portcullis_fuzz::documents(data, size, max_size, seed)
});

fuzz_target!(|data: &[u8]| {
    let schema = portcullis_fuzz::schema(data, Encoding::Json);
    if portcullis_fuzz::is_list(&schema) {
        return;
    }
    let Some(value) = portcullis_fuzz::stored(&schema, data) else { return };
    let mut again = value.clone();
    schema.normalise(&mut again);
    assert_eq!(again, value, "normalised twice");
    portcullis_fuzz::fill(schema.gvk(), &mut again);
    schema.normalise(&mut again);
    assert_eq!(again, value, "defaulted twice");
    schema.check(&value);

    let text = write(&value);
    for encoding in [Encoding::Json, Encoding::Yaml] {
        let reading = schema.read(&text, encoding).expect("what was written can be read");
        assert_eq!(reading.faults, [""; 0]);
        let mut read = reading.value;
        schema.normalise(&mut read);
        assert_eq!(read, value, "{encoding:?}");
    }

    let bytes = portcullis_fuzz::protobuf_of(&schema, &value);
    let mut read = schema.read(&bytes, Encoding::Protobuf).expect("what was written can be read").value;
    schema.normalise(&mut read);
    assert_eq!(portcullis_fuzz::carried(&schema, &read), portcullis_fuzz::carried(&schema, &value), "protobuf");
});
