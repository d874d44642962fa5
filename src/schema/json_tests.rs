use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

#[test]
fn says_why_in_gos_words() {
    let rows = [
        ("", "unexpected end of JSON input"),
        ("{", "unexpected end of JSON input"),
        ("{\"a\":1", "unexpected end of JSON input"),
        ("{a", "invalid character 'a' looking for beginning of object key string"),
        ("{\"a\":1,}", "invalid character '}' looking for beginning of object key string"),
        ("{\"a\" 1}", "invalid character '1' after object key"),
        ("{\"a\":1 \"b\"}", "invalid character '\"' after object key:value pair"),
        ("[1,]", "invalid character ']' looking for beginning of value"),
        ("[1 2]", "invalid character '2' after array element"),
        ("{}x", "invalid character 'x' after top-level value"),
        ("'a'", "invalid character '\\'' looking for beginning of value"),
        ("\"\n\"", "invalid character '\\n' in string literal"),
        ("\"\\x\"", "invalid character 'x' in string escape code"),
        ("\"\\u12g4\"", "invalid character 'g' in \\u hexadecimal character escape"),
        ("-x", "invalid character 'x' in numeric literal"),
        ("01", "invalid character '1' after top-level value"),
        ("1.x", "invalid character 'x' after decimal point in numeric literal"),
        ("1ex", "invalid character 'x' in exponent of numeric literal"),
        ("trux", "invalid character 'x' in literal true (expecting 'e')"),
        ("\u{feff}{}", "invalid character '\u{ef}' looking for beginning of value"),
    ];
    for (text, why) in rows {
        assert_eq!(document(text.as_bytes()), Err(Syntax(why.to_owned())), "{text}");
    }
    let deep = "[".repeat(100_000);
    assert_eq!(document(deep.as_bytes()), Err(Syntax("exceeded max depth".to_owned())));
}

#[test]
fn takes_what_go_takes() {
    let rows: [(&[u8], Value); 8] = [
        (b"\"\\ud834\\udd1e\"", json!("\u{1d11e}")),
        (b"\"\\ud834x\"", json!("\u{fffd}x")),
        (b"\"\\ud834\\u0041\"", json!("\u{fffd}A")),
        (b"\"\\udd1e\"", json!("\u{fffd}")),
        (b"\"\xff\xfea\"", json!("\u{fffd}\u{fffd}a")),
        (b" [1, -0.5e1, 9223372036854775807, 9223372036854775808] ", json!([1, -5.0, i64::MAX, 9_223_372_036_854_775_808.0])),
        (b"{\"a\":1,\"a\":2}", json!({"a": 2})),
        (b"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", json!("\"\\/\u{8}\u{c}\n\r\t")),
    ];
    for (text, value) in rows {
        assert_eq!(document(text), Ok(value), "{}", String::from_utf8_lossy(text));
    }
}

#[test]
fn many_small_objects_are_refused_early() {
    let bomb = format!("[{}1]", "{\"\":1},".repeat(400_000));
    assert_eq!(document(bomb.as_bytes()), Err(Syntax(TOO_MANY.to_owned())));
}

#[test]
fn passes_the_parsing_test_suite() {
    let Some(folder) = crate::schema::tests::shared("vectors/json-parsing") else { return };
    let mut read = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read(&path).unwrap();
        match path.file_name().unwrap().to_str().unwrap().as_bytes()[0] {
            b'y' => assert!(document(&text).is_ok(), "{path:?} {:?}", document(&text)),
            b'n' => assert!(document(&text).is_err(), "{path:?}"),
            _ => drop(document(&text)),
        }
        read += 1;
    }
    assert!(read > 300, "{read} files");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = document(&bytes);
    }

    #[test]
    fn agrees_with_serde(text in r#"([\[\]{},:"]|\\|u|true|null|1|0|-|\.|e| |"a"){0,24}"#) {
        // Go has no negative zero among its integers.
        if let Ok(value) = serde_json::from_str::<Value>(&text)
            && !text.contains("-0")
        {
            prop_assert_eq!(document(text.as_bytes()), Ok(value));
        }
    }
}
