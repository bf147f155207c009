//! The remote service that the gateway asks: a name leads to a text. Real devices would get it by a radio.

/// Names and texts.
pub const DOCUMENTS: [(&str, &str); 15] = [
    ("catalogue", include_str!("documents/catalogue.json")),
    ("events", include_str!("documents/events.json")),
    ("feed", include_str!("documents/feed.json")),
    ("forecast", include_str!("documents/forecast.json")),
    ("harbour", include_str!("documents/harbour.json")),
    ("keys", include_str!("documents/keys.json")),
    ("lockfile", include_str!("documents/lockfile.json")),
    ("model", include_str!("documents/model.json")),
    ("notices", include_str!("documents/notices.json")),
    ("package", include_str!("documents/package.json")),
    ("routes", include_str!("documents/routes.json")),
    ("sensors", include_str!("documents/sensors.json")),
    ("settings", include_str!("documents/settings.json")),
    ("stations", include_str!("documents/stations.json")),
    ("translations", include_str!("documents/translations.json")),
];

/// Which document is asked for next: an endless, repeatable series of indices, some documents more in demand than others.
pub struct Demand(u32);

impl Demand {
    pub const fn new(seed: u32) -> Self {
        Self(seed)
    }

    fn random(&mut self) -> usize {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 16) as usize
    }
}

impl Iterator for Demand {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let (one, other) = (self.random() % DOCUMENTS.len(), self.random() % DOCUMENTS.len());
        Some(one.min(other))
    }
}
