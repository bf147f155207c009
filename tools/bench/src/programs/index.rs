//! Indexes a generated corpus word by word and answers queries.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::{BuildHasherDefault, DefaultHasher},
};
use terrace_measure::random::Random;

const DOCUMENTS: u32 = 300;
const WORDS: usize = 3000;

/// The standard hasher without its random keys.
type Counts = HashMap<String, u32, BuildHasherDefault<DefaultHasher>>;

pub fn run() {
    let mut random = Random::new(12);
    let words: Vec<String> = (0..WORDS).map(|n| syllables(&mut random, n)).collect();
    let mut index: BTreeMap<String, Vec<(u32, u32)>> = BTreeMap::new();
    for document in 0..DOCUMENTS {
        let text = text(&mut random, &words);
        let mut counts = Counts::default();
        for word in text.split_whitespace() {
            *counts.entry(word.to_lowercase()).or_default() += 1;
        }
        for (word, count) in counts {
            index.entry(word).or_default().push((document, count));
        }
    }
    let mut found = 0;
    for _ in 0..400 {
        let (one, other) = (&words[common(&mut random)], &words[common(&mut random)]);
        found += query(&index, one, other).len();
    }
    assert!(found > 0);
}

fn syllables(random: &mut Random, n: usize) -> String {
    const SYLLABLES: [&str; 8] = ["ka", "lo", "mi", "ran", "tes", "u", "vor", "shin"];
    let mut word: String = (0..random.between(1, 4)).map(|_| SYLLABLES[random.below(8)]).collect();
    word.push_str(&n.to_string());
    word
}

/// The index of a word, small ones far more often than large ones.
fn common(random: &mut Random) -> usize {
    (random.unit() * random.unit() * random.unit() * WORDS as f64) as usize
}

fn text(random: &mut Random, words: &[String]) -> String {
    let mut text = String::new();
    for _ in 0..random.between(40, 240) {
        text.push_str(&words[common(random)]);
        text.push(' ');
    }
    text
}

/// The documents that hold both words, as headings.
fn query(index: &BTreeMap<String, Vec<(u32, u32)>>, one: &str, other: &str) -> Vec<String> {
    let documents = |word: &str| -> BTreeSet<u32> {
        index
            .get(word)
            .map(|hits| hits.iter().map(|hit| hit.0).collect())
            .unwrap_or_default()
    };
    documents(one)
        .intersection(&documents(other))
        .map(|document| format!("document {document}"))
        .collect()
}
