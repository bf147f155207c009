//! A number that stands for a document's content, to notice if a tree is damaged.

use serde_json::Value;

/// FNV-1a over everything in the tree, with a mark for the kind of each value.
pub fn digest(value: &Value) -> u32 {
    let mut hash = 0x811C_9DC5;
    add_value(&mut hash, value);
    hash
}

fn add(hash: &mut u32, bytes: &[u8]) {
    for byte in bytes {
        *hash = (*hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    }
}

fn add_value(hash: &mut u32, value: &Value) {
    match value {
        Value::Null => add(hash, b"n"),
        Value::Bool(flag) => add(hash, &[b'b', u8::from(*flag)]),
        Value::Number(number) => {
            add(hash, b"d");
            add(hash, &number.as_f64().unwrap_or(f64::NAN).to_le_bytes());
        }
        Value::String(text) => {
            add(hash, b"s");
            add(hash, text.as_bytes());
        }
        Value::Array(values) => {
            add(hash, b"[");
            values.iter().for_each(|value| add_value(hash, value));
        }
        Value::Object(members) => {
            add(hash, b"{");
            for (name, value) in members {
                add(hash, name.as_bytes());
                add_value(hash, value);
            }
        }
    }
}
