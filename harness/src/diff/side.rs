//! One of the two evaluations: a finished trial of a run folder and its ranks.

use clap::ValueEnum;
use hitbench_reports::RunFolder;
use hitbench_reports::record::{DataRecord, Direction, DirectionRecord, RankRow, ScoreKind, TrialRecord};

use super::error::DiffError;
use crate::format::Location;
use crate::metric::Rules;

/// A finished trial with the counts of its queries.
#[derive(Debug, Clone, PartialEq)]
pub struct Side {
    /// The folder, and the trial in it where one was named.
    pub location: Location,
    /// Its record.
    pub trial: TrialRecord,
    /// Its ranks, both directions.
    pub ranks: Vec<RankRow>,
}

impl Side {
    /// Reads the evaluation at `FOLDER`, the only one in it, or at `FOLDER::TRIAL`, by id or name.
    ///
    /// # Errors
    /// [`DiffError::Record`], [`DiffError::NoTrial`], [`DiffError::SeveralTrials`], [`DiffError::UnknownTrial`].
    pub fn read(location: &Location) -> Result<Self, DiffError> {
        let folder = RunFolder::new(&location.path);
        let run = folder.run()?;
        let records = folder.trials()?;
        let planned = run.plan.iter().flat_map(|cell| &cell.trials);
        let mut finished: Vec<&TrialRecord> = planned
            .filter_map(|planned| records.iter().find(|record| record.id == planned.id))
            .filter(|record| record.directions(ScoreKind::Combined).is_some())
            .collect();
        let known: Vec<String> = finished.iter().map(|trial| trial.name.clone()).collect();
        let folder_path = location.path.clone();
        if let Some(named) = &location.member {
            finished.retain(|trial| trial.id == *named || trial.name == *named);
        }
        let trial = match (&finished[..], &location.member) {
            ([trial], _) => (*trial).clone(),
            (_, Some(named)) if !known.is_empty() => {
                return Err(DiffError::UnknownTrial {
                    folder: folder_path,
                    trial: named.clone(),
                    known,
                });
            }
            ([], _) => return Err(DiffError::NoTrial { folder: folder_path }),
            _ => {
                return Err(DiffError::SeveralTrials {
                    folder: folder_path,
                    known,
                });
            }
        };
        Ok(Self {
            location: location.clone(),
            ranks: folder.ranks(&trial.id)?,
            trial,
        })
    }

    /// The data set that it was trained and tested on; `None` for an evaluation of scores or embeddings, whose data are
    /// these.
    pub(super) fn data_set(&self) -> Option<&DataRecord> {
        let data = &self.trial.result()?.data;
        (data.n_train_videos > 0).then_some(data)
    }

    /// What its record says of one direction.
    pub(super) fn record(&self, direction: Direction) -> Option<&DirectionRecord> {
        self.trial.direction(ScoreKind::Combined, direction)
    }

    /// The rules that its counts are read by, without cut-offs.
    ///
    /// # Errors
    /// [`DiffError::Ranks`] for a word that no rule has.
    pub(super) fn rules(&self) -> Result<Rules, DiffError> {
        fn choice<T: ValueEnum>(side: &Side, word: &str) -> Result<T, DiffError> {
            T::from_str(word, false).map_err(|_| side.wrong(format!("unknown rule `{word}`")))
        }
        let protocol = &self.trial.protocol;
        Ok(Rules {
            ties: choice(self, &protocol.ties)?,
            captions: choice(self, &protocol.captions)?,
            median: choice(self, &protocol.median)?,
            recall_at: Vec::new(),
        })
    }

    pub(super) fn wrong(&self, problem: String) -> DiffError {
        DiffError::Ranks {
            folder: self.location.path.clone(),
            trial: self.trial.name.clone(),
            problem,
        }
    }
}
