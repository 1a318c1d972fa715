//! Records of answers that are given again to whoever repeats the request.

use serde::{Deserialize, Serialize};

use super::super::record::{Facet, Record, Table};
use crate::ids::AnswerId;
use crate::model::Time;

/// Facet numbers of answers.
pub mod answer {
    /// Who asked.
    pub const CALLER: u8 = 0;
    /// The sum of how many there are, and of their bytes.
    pub const COUNT: &str = "answers";
    /// The same of one caller.
    pub const BYTES: &str = "bytes";
}

/// What was answered to a request that has a key of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerRecord {
    /// Its id.
    pub id: AnswerId,
    /// Its number.
    pub serial: u64,
    /// BLAKE3 of who asked, for what, and the key, hex.
    pub key: String,
    /// Who asked: one user or key, whatever it is called.
    pub caller: String,
    /// BLAKE3 of the request's body, hex.
    pub request: String,
    /// The status of the answer.
    pub status: u16,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// Its body; nothing where it held a secret.
    pub body: Option<String>,
    /// Until when it is given again.
    pub expires_at: Time,
}

impl Record for AnswerRecord {
    const TABLE: Table = Table::Answers;
    const VERSION: u8 = 1;
    fn id(&self) -> u128 {
        self.id.bits()
    }
    fn serial(&self) -> u64 {
        self.serial
    }
    fn set_serial(&mut self, serial: u64) {
        self.serial = serial;
    }
    fn name(&self) -> Option<String> {
        Some(self.key.clone())
    }
    fn facets(&self) -> Vec<Facet> {
        vec![(answer::CALLER, self.caller.clone())]
    }
    fn tallies(&self) -> Vec<(String, u64)> {
        let bytes = self.body.as_ref().map_or(0, |body| body.len() as u64);
        let of = |caller: &str| {
            [
                (format!("{caller}{}", answer::COUNT), 1),
                (format!("{caller}{}", answer::BYTES), bytes),
            ]
        };
        let shares = of("").into_iter().chain(of(&format!("{}/", self.caller)));
        shares.filter(|(_, share)| *share > 0).collect()
    }
}
