//! What the gate of a suite could find out, before there is a run.

use std::io::{self, Write};

use serde::Serialize;

use crate::gate::{Baseline, Evidence, GateError, Policy, PowerReport, SuiteId, power, prospect};
use crate::suite::{AnySuite, SuiteError};

/// The policy that a suite names, and the smallest drop that each of its rows can detect.
#[derive(Debug, Serialize)]
pub(super) struct Outlook {
    policy: String,
    /// Rows with a margin, held against a run like the baseline.
    power: Vec<PowerReport>,
    /// Rows that will not compare even with such a run, and why.
    unlike: Vec<String>,
    /// Why nothing is known.
    unavailable: Option<String>,
    #[serde(skip)]
    text: String,
}

impl Outlook {
    /// Of a suite; `None` when it names no policy.
    ///
    /// # Errors
    /// [`SuiteError`] for a policy that cannot be read. Without a baseline, or with one that does not fit, and with a row
    /// about no cell of the suite, the reason is told.
    pub(super) fn new(suite: &AnySuite) -> Result<Option<Self>, SuiteError> {
        let Some(path) = suite.gate() else {
            return Ok(None);
        };
        let policy = Policy::load(path)?;
        let (power, unlike, text, unavailable) = match prospects(&policy, suite) {
            Ok((power, unlike, text)) => (power, unlike, text, None),
            Err(reason) => (Vec::new(), Vec::new(), String::new(), Some(reason)),
        };
        Ok(Some(Self {
            policy: policy.file,
            power,
            unlike,
            unavailable,
            text,
        }))
    }

    pub(super) fn write_text(&self, out: &mut impl Write) -> io::Result<()> {
        match &self.unavailable {
            Some(reason) => writeln!(out, "\ngate {}: power unknown: {reason}", self.policy),
            None => write!(out, "\ngate {}:\n{}", self.policy, self.text),
        }
    }
}

/// Power, rows that will not compare, and both in words.
type Prospects = (Vec<PowerReport>, Vec<String>, String);

fn prospects(policy: &Policy, suite: &AnySuite) -> Result<Prospects, String> {
    policy.check_suite(suite).map_err(|error| error.to_string())?;
    let path = policy.baseline.as_deref().ok_or("the policy names no baseline")?;
    let of_baseline = || -> Result<_, GateError> {
        let baseline: Evidence = Baseline::load(path)?.evidence;
        let rows = power(policy, &baseline)?;
        Ok((baseline, rows))
    };
    let (baseline, rows) = of_baseline().map_err(|error| error.to_string())?;
    let (of, suite) = (&baseline.suite, SuiteId::from(suite));
    if *of != suite {
        return Err(format!(
            "the baseline is of {}, version {}; this is {}, version {}",
            of.name, of.version, suite.name, suite.version
        ));
    }
    let reports = rows.rows.iter().map(PowerReport::from).collect();
    Ok((reports, rows.unlike.clone(), prospect(&rows)))
}
