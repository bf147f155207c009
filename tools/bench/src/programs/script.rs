//! An interpreter runs a script that builds strings, lists and maps.

use rhai::{Engine, OptimizationLevel};

const SCRIPT: &str = r#"
fn fib(n) { if n < 2 { n } else { fib(n - 1) + fib(n - 2) } }

fn primes(limit) {
    let sieve = [];
    sieve.pad(limit, true);
    let found = [];
    let i = 2;
    while i < limit {
        if sieve[i] {
            found.push(i);
            let k = i * 2;
            while k < limit { sieve[k] = false; k += i; }
        }
        i += 1;
    }
    found
}

fn inventory(count) {
    let items = [];
    for n in 0..count {
        items.push(#{ name: "item number " + n, weight: n % 17, tags: ["tag" + (n % 7), "group" + (n % 3)] });
    }
    items
}

fn describe(items) {
    let by_weight = #{};
    for item in items {
        let key = "w" + item.weight;
        if key in by_weight { by_weight[key].push(item.name); } else { by_weight[key] = [item.name]; }
    }
    let text = "";
    for key in by_weight.keys() {
        text += key + ": ";
        for name in by_weight[key] { text += name.to_upper() + ", "; }
        text += "\n";
    }
    text
}

let total = fib(12);
for round in 0..4 {
    total += primes(200 + 20 * round).len();
    let items = inventory(120 + round * 20);
    let heavy = items.filter(|item| item.weight > 8);
    total += describe(items).len() + describe(heavy).len();
}
total
"#;

pub fn run() {
    // Else each build of the crate hashes differently. An error means that it is set already.
    let _ = rhai::config::hashing::set_hashing_seed(Some([1, 2, 3, 4]));
    let mut engine = Engine::new();
    engine.set_optimization_level(OptimizationLevel::Simple);
    let total: i64 = engine.eval(SCRIPT).expect("the script is valid");
    assert!(total > 10_000);
}
