//! Parses generated documents into owned trees, edits them and writes them out again.

use serde_json::Value;
use std::{collections::VecDeque, fmt::Write};
use terrace_measure::random::Random;

const DOCUMENTS: usize = 12;
/// Parsed documents kept at a time.
const KEPT: usize = 4;

pub fn run() {
    let mut random = Random::new(11);
    let mut kept: VecDeque<Value> = VecDeque::new();
    for n in 0..DOCUMENTS {
        let text = document(&mut random, 50 + 10 * n);
        let mut tree: Value = serde_json::from_str(&text).expect("generated documents are valid");
        edit(&mut tree, &mut random);
        let written = serde_json::to_string(&tree).expect("trees can be written");
        assert!(written.len() > 100);
        kept.push_back(tree);
        if kept.len() > KEPT {
            kept.pop_front();
        }
    }
}

/// A list of orders, each with a customer, some lines and a few remarks.
fn document(random: &mut Random, orders: usize) -> String {
    let mut text = String::from("{\"version\": 3, \"orders\": [");
    for n in 0..orders {
        let separator = if n == 0 { "" } else { ", " };
        write!(text, "{separator}{{\"id\": {}, \"customer\": ", random.below(1 << 30)).expect("strings grow");
        write!(
            text,
            "{{\"name\": \"{}\", \"city\": \"{}\"}}",
            word(random, 12),
            word(random, 8)
        )
        .expect("strings grow");
        text.push_str(", \"lines\": [");
        for line in 0..random.between(1, 6) {
            let separator = if line == 0 { "" } else { ", " };
            let (sku, count) = (word(random, 6), random.between(1, 90));
            write!(
                text,
                "{separator}{{\"sku\": \"{sku}\", \"n\": {count}, \"price\": {}.5}}",
                random.below(900)
            )
            .expect("strings grow");
        }
        write!(text, "], \"paid\": {}, \"remarks\": [", random.one_in(2)).expect("strings grow");
        for remark in 0..random.below(3) {
            let separator = if remark == 0 { "" } else { ", " };
            write!(text, "{separator}\"{}\\n{}\"", word(random, 20), word(random, 30)).expect("strings grow");
        }
        text.push_str("]}");
    }
    text.push_str("]}");
    text
}

fn word(random: &mut Random, longest: usize) -> String {
    (0..random.between(3, longest))
        .map(|_| char::from(b'a' + random.below(26) as u8))
        .collect()
}

/// Drops some orders, adds a field to others.
fn edit(tree: &mut Value, random: &mut Random) {
    let orders = tree["orders"].as_array_mut().expect("generated with orders");
    orders.retain(|_| !random.one_in(5));
    for order in orders.iter_mut().filter(|order| order["paid"] == true) {
        order["state"] = Value::String(format!("shipped to {}", order["customer"]["city"]));
    }
}
