//! What programs do to their allocator, in several threads.

use std::collections::{BTreeMap, HashMap};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use super::{Random, scaled};

/// Bytes of the region for a program that runs this: plenty; much less where each operation verifies all of it.
#[allow(dead_code, reason = "not every test that has a workload is a program")]
pub const REGION: usize = if cfg!(feature = "check") { 2 << 20 } else { 64 << 20 };

/// Something that one thread allocates and another one frees.
type Parcel = (u64, Vec<u64>);

/// What a thread owns at a time.
#[derive(Default)]
struct Belongings {
    numbers: Vec<Vec<u32>>,
    names: HashMap<u64, String>,
    order: BTreeMap<u64, Box<[u8; 40]>>,
}

impl Belongings {
    /// Changes something and verifies what it touches.
    fn work(&mut self, random: &mut Random) {
        let key = random.below(300) as u64;
        match random.below(8) {
            0 => self.numbers.push((0..random.below(100) as u32).collect()),
            1 if !self.numbers.is_empty() => {
                let at = random.below(self.numbers.len());
                let old = self.numbers.swap_remove(at);
                assert!(old.iter().enumerate().all(|(at, number)| at as u32 == *number));
            }
            2 if !self.numbers.is_empty() => {
                let at = random.below(self.numbers.len());
                let numbers = &mut self.numbers[at];
                let next = numbers.len() as u32;
                numbers.extend(next..next + 20);
            }
            3 => drop(self.names.insert(key, key.to_string().repeat(1 + random.below(20)))),
            4 => {
                if let Some(name) = self.names.remove(&key) {
                    assert!(name.starts_with(&key.to_string()));
                }
            }
            5 => drop(self.order.insert(key, Box::new([key as u8; 40]))),
            6 => {
                if let Some(bytes) = self.order.remove(&key) {
                    assert!(bytes.iter().all(|byte| *byte == key as u8));
                }
            }
            _ => {
                if self.numbers.len() > 200 {
                    self.numbers.clear();
                    self.numbers.shrink_to_fit();
                }
            }
        }
    }
}

fn send(random: &mut Random, to: &[Sender<Parcel>]) {
    let number = random.next();
    let parcel = (number, vec![number; random.below(50)]);
    // The receiver may have finished.
    let _ = to[random.below(to.len())].send(parcel);
}

fn receive(from: &Receiver<Parcel>) {
    while let Ok((number, copies)) = from.try_recv() {
        assert!(copies.iter().all(|copy| *copy == number));
    }
}

/// Runs `threads` threads of `operations` operations each. All that they allocate they also free, partly in another
/// thread; every content is verified.
pub fn run(threads: usize, operations: usize) {
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..threads).map(|_| channel()).unzip();
    let workers: Vec<_> = receivers
        .into_iter()
        .enumerate()
        .map(|(index, receiver)| {
            let senders = senders.clone();
            thread::spawn(move || {
                let mut random = Random::new(index as u64 + 1);
                let mut belongings = Belongings::default();
                for step in 0..scaled(operations) {
                    belongings.work(&mut random);
                    if step % 8 == 0 {
                        send(&mut random, &senders);
                        receive(&receiver);
                    }
                }
            })
        })
        .collect();
    drop(senders);
    workers.into_iter().for_each(|worker| worker.join().unwrap());
}
