//! A sensor gateway: packets of several kinds, retransmission timers, sample windows, a configuration store, log lines.

use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use terrace_measure::random::Random;

const TICKS: u32 = 4000;
/// Packets that wait for an acknowledgement at most.
const IN_FLIGHT: usize = 12;
const SENSORS: usize = 6;
/// Samples per sensor.
const WINDOW: usize = 16;
/// Lines that the log keeps.
const LOG: usize = 24;

pub fn run() {
    let mut device = Device::new();
    for tick in 0..TICKS {
        device.tick(tick);
    }
    assert!(device.sent > 500);
}

struct Packet {
    header: Box<[u8; 12]>,
    payload: Vec<u8>,
}

struct Reading {
    value: i32,
    note: Option<String>,
}

struct Device {
    random: Random,
    /// Packets to send, oldest first.
    queue: VecDeque<Box<Packet>>,
    /// Sent packets by sequence number.
    in_flight: BTreeMap<u32, Box<Packet>>,
    /// When to send again: (tick, sequence number), earliest on top.
    timers: BinaryHeap<core::cmp::Reverse<(u32, u32)>>,
    sensors: Vec<VecDeque<Box<Reading>>>,
    settings: BTreeMap<String, String>,
    log: VecDeque<String>,
    sequence: u32,
    sent: u32,
}

impl Device {
    fn new() -> Device {
        let mut settings = BTreeMap::new();
        for name in ["host", "port", "key", "interval", "units", "zone", "gain", "mode"] {
            settings.insert(name.to_string(), format!("default {name}"));
        }
        Device {
            random: Random::new(13),
            queue: VecDeque::new(),
            in_flight: BTreeMap::new(),
            timers: BinaryHeap::new(),
            sensors: (0..SENSORS).map(|_| VecDeque::with_capacity(WINDOW)).collect(),
            settings,
            log: VecDeque::new(),
            sequence: 0,
            sent: 0,
        }
    }

    fn tick(&mut self, tick: u32) {
        self.sample(tick);
        if tick.is_multiple_of(5) {
            self.report();
        }
        self.send(tick);
        self.receive();
        self.expire(tick);
        if self.random.one_in(97) {
            self.configure(tick);
        }
    }

    /// Takes a reading, sometimes with a remark.
    fn sample(&mut self, tick: u32) {
        let value = self.random.between(0, 4000) as i32 - 2000;
        let note = self
            .random
            .one_in(9)
            .then(|| format!("t{tick}: out of range by {}", value.abs() / 7));
        let window = &mut self.sensors[tick as usize % SENSORS];
        if window.len() == WINDOW {
            window.pop_front();
        }
        window.push_back(Box::new(Reading { value, note }));
    }

    /// Builds a packet from the window of one sensor.
    fn report(&mut self) {
        let sensor = self.random.below(SENSORS);
        let mut payload = Vec::new();
        for reading in &self.sensors[sensor] {
            payload.extend_from_slice(&reading.value.to_le_bytes());
            if let Some(note) = &reading.note {
                payload.extend_from_slice(note.as_bytes());
            }
        }
        if self.random.one_in(12) {
            // A block of stored measurements goes along.
            let block = self.random.between(200, 900);
            payload.resize(payload.len() + block, 0x55);
        }
        payload.shrink_to_fit();
        self.queue.push_back(Box::new(Packet {
            header: Box::new([sensor as u8; 12]),
            payload,
        }));
    }

    fn send(&mut self, tick: u32) {
        while self.in_flight.len() < IN_FLIGHT
            && let Some(mut packet) = self.queue.pop_front()
        {
            self.sequence += 1;
            packet.header[0] = self.sequence as u8;
            // The frame as it goes over the wire; freed once it is out.
            let mut frame = Vec::with_capacity(packet.header.len() + packet.payload.len() + 4);
            frame.extend_from_slice(&*packet.header);
            frame.extend_from_slice(&packet.payload);
            frame.extend_from_slice(&self.sequence.to_le_bytes());
            self.sent += u32::from(!frame.is_empty());
            self.timers.push(core::cmp::Reverse((tick + 30, self.sequence)));
            self.in_flight.insert(self.sequence, packet);
        }
    }

    /// An acknowledgement, or a command, arrives now and then.
    fn receive(&mut self) {
        if self.random.one_in(4)
            && let Some(&oldest) = self.in_flight.keys().next()
        {
            let lag = self.random.below(3) as u32;
            self.in_flight.remove(&(oldest + lag));
        }
        if self.random.one_in(40) {
            let command = format!("set interval={}", self.random.below(1000));
            let fields: Vec<&str> = command[4..].split('=').collect();
            if let [name, value] = fields[..] {
                self.settings.insert(name.to_string(), value.to_string());
            }
            self.note(format!("command: {command}"));
        }
    }

    /// Sends again what was not acknowledged in time.
    fn expire(&mut self, tick: u32) {
        while let Some(&core::cmp::Reverse((due, sequence))) = self.timers.peek()
            && due <= tick
        {
            self.timers.pop();
            if let Some(packet) = self.in_flight.remove(&sequence) {
                self.note(format!("#{sequence} timed out, {} bytes", packet.payload.len()));
                // Given up on half of the time.
                if self.random.one_in(2) {
                    self.queue.push_front(packet);
                }
            }
        }
    }

    fn configure(&mut self, tick: u32) {
        let name = format!("profile{}", self.random.below(6));
        let text: String = self
            .settings
            .values()
            .take(4)
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(";");
        self.settings.insert(name, text.chars().take(48).collect());
        self.note(format!("profile stored at {tick}"));
    }

    fn note(&mut self, line: String) {
        if self.log.len() == LOG {
            self.log.pop_front();
        }
        self.log.push_back(line);
    }
}
