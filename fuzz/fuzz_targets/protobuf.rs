//! Protobuf bodies: what was read and normalised is written as bytes that are read as the same.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use portcullis::schema::Encoding;

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    portcullis_fuzz::protobuf(data, size, max_size, seed)
});

fuzz_target!(|data: &[u8]| {
    let schema = portcullis_fuzz::schema(data, Encoding::Protobuf);
    let Ok(reading) = schema.read(data, Encoding::Protobuf) else { return };
    assert_eq!(reading.faults, [""; 0]);
    let mut value = reading.value;
    portcullis_fuzz::name(&schema, &mut value);
    schema.normalise(&mut value);
    let bytes = portcullis_fuzz::protobuf_of(&schema, &value);
    let mut again = schema.read(&bytes, Encoding::Protobuf).expect("what was written can be read").value;
    schema.normalise(&mut again);
    assert_eq!(again, value);
    assert_eq!(portcullis_fuzz::protobuf_of(&schema, &again), bytes);
});
