//! TensorBoard event files of training curves: records of the TFRecord format, each a `tensorflow.Event`.
//!
//! A record is its length (u64, little-endian), the masked CRC-32C of these eight bytes, the payload, and the masked CRC-32C
//! of the payload. The first event names the version of the format, every other one has the scalars of a step.

use std::fs;
use std::path::{Path, PathBuf};

use prost::Message;

use crate::record::{CurveRow, RecordError, RunFolder, replace_file};

/// Version that readers look for in the first event.
const FILE_VERSION: &str = "brain.Event:2";
/// Part of the file's name that readers look for, with the seconds since 1970 that stand after it: a run's records have no
/// clock, and neither have its events.
const FILE_NAME: &str = "events.out.tfevents.0.hitbench";
/// TensorFlow's mask of checksums: rotated, so that a checksum of data with checksums in it stays a good one.
const MASK: u32 = 0xa282_ead8;

/// `tensorflow.Event`, of `event.proto`: the fields that are used.
#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

/// `tensorflow.Summary`, of `summary.proto`.
#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Scalar>,
}

/// `tensorflow.Summary.Value` with a `simple_value`.
#[derive(Clone, PartialEq, Message)]
struct Scalar {
    #[prost(string, tag = "1")]
    tag: String,
    // Of a `oneof`, hence there even where it is 0.
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// Writes the curves of every trial of a run that has some, each into a folder of its own below `out`, named as the trial:
/// `axis=value` parts and seed. Returns the files, in the order of the plan.
///
/// # Errors
/// Those of reading the run; [`RecordError::Write`] when a file cannot be written.
pub fn write_tensorboard(folder: &RunFolder, out: &Path) -> Result<Vec<PathBuf>, RecordError> {
    let run = folder.run()?;
    let mut files = Vec::new();
    for trial in run.plan.iter().flat_map(|cell| &cell.trials) {
        let rows = folder.curves(&trial.id)?;
        if rows.is_empty() {
            continue;
        }
        let trial_folder = out.join(&trial.name);
        fs::create_dir_all(&trial_folder).map_err(RecordError::write(&trial_folder))?;
        let file = trial_folder.join(FILE_NAME);
        replace_file(&file, &event_file(&rows))?;
        files.push(file);
    }
    Ok(files)
}

/// An event file with the scalars of each row at its step. Tags are the columns of `curves/TRIAL.csv`, terms of the loss
/// below `loss/`; absent values have no scalar.
pub fn event_file(rows: &[CurveRow]) -> Vec<u8> {
    let first = Event {
        file_version: Some(FILE_VERSION.to_owned()),
        ..Event::default()
    };
    let mut bytes = record(&first);
    for row in rows {
        let scalars = scalars(row).into_iter().map(|(tag, value)| Scalar {
            tag,
            simple_value: Some(value as f32),
        });
        let event = Event {
            step: i64::try_from(row.step).unwrap_or(i64::MAX),
            summary: Some(Summary {
                value: scalars.collect(),
            }),
            ..Event::default()
        };
        bytes.extend(record(&event));
    }
    bytes
}

fn scalars(row: &CurveRow) -> Vec<(String, f64)> {
    let mut scalars = vec![("loss".to_owned(), row.loss)];
    let terms = row.terms.iter();
    scalars.extend(terms.map(|(name, value)| (format!("loss/{name}"), *value)));
    let others = row.measures();
    scalars.extend(others.filter_map(|(name, value)| Some((name.to_owned(), value?))));
    scalars
}

fn record(event: &Event) -> Vec<u8> {
    let payload = event.encode_to_vec();
    let length = (payload.len() as u64).to_le_bytes();
    let mut bytes = length.to_vec();
    bytes.extend(masked_crc(&length).to_le_bytes());
    bytes.extend(&payload);
    bytes.extend(masked_crc(&payload).to_le_bytes());
    bytes
}

fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(MASK)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a reader of protocol buffers finds without knowing any message: field numbers with their raw values.
    fn fields(mut bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
        fn varint(bytes: &mut &[u8]) -> u64 {
            let mut value = 0;
            for shift in (0..).step_by(7) {
                let (&byte, rest) = bytes.split_first().expect("a byte");
                *bytes = rest;
                value |= u64::from(byte & 0x7f) << shift;
                if byte & 0x80 == 0 {
                    return value;
                }
            }
            unreachable!("a varint ends")
        }
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let key = varint(&mut bytes);
            let value = match key & 7 {
                0 => varint(&mut bytes).to_le_bytes().to_vec(),
                wire => {
                    let n = match wire {
                        1 => 8,
                        2 => varint(&mut bytes) as usize,
                        5 => 4,
                        other => panic!("wire type {other}"),
                    };
                    let (value, rest) = bytes.split_at(n);
                    bytes = rest;
                    value.to_vec()
                }
            };
            found.push((key >> 3, value));
        }
        found
    }

    /// CRC-32C bit by bit (RFC 3720, polynomial 0x1EDC6F41 reflected), masked as TensorFlow does.
    fn slow_masked_crc(bytes: &[u8]) -> u32 {
        let mut crc = !0u32;
        for byte in bytes {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = (crc >> 1) ^ (0x82f6_3b78 * (crc & 1));
            }
        }
        let crc = !crc;
        crc.rotate_right(15).wrapping_add(MASK)
    }

    /// The payloads of a file, its checksums checked.
    fn payloads(mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let (length, rest) = bytes.split_at(8);
            let n = u64::from_le_bytes(length.try_into().unwrap()) as usize;
            assert_eq!(rest[..4], slow_masked_crc(length).to_le_bytes());
            let payload = &rest[4..4 + n];
            assert_eq!(rest[4 + n..][..4], slow_masked_crc(payload).to_le_bytes());
            found.push(payload.to_vec());
            bytes = &rest[8 + n..];
        }
        found
    }

    #[test]
    fn the_crc_is_that_of_the_standard() {
        // RFC 3720, B.4: 32 bytes of zeros.
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(masked_crc(b"123456789"), slow_masked_crc(b"123456789"));
    }

    #[test]
    fn events_have_the_scalars_of_their_step() {
        let row = |step: u64, drift: Option<f64>| CurveRow {
            step,
            loss: 0.0,
            terms: vec![("t2v".to_owned(), 0.5)],
            key_drift: drift,
            ..CurveRow::default()
        };
        let found = payloads(&event_file(&[row(1, None), row(300, Some(0.25))]));
        assert_eq!(found.len(), 3);
        assert_eq!(fields(&found[0]), [(3, FILE_VERSION.as_bytes().to_vec())]);
        let scalars = |payload: &[u8]| -> (u64, Vec<(String, f32)>) {
            let event = fields(payload);
            let step = event.iter().find(|(field, _)| *field == 2).expect("a step");
            let summary = event.iter().find(|(field, _)| *field == 5).expect("a summary");
            let scalars = fields(&summary.1).into_iter().map(|(field, scalar)| {
                assert_eq!(field, 1);
                let [(1, tag), (2, value)] = &fields(&scalar)[..] else {
                    panic!("a tag and a value: {scalar:?}");
                };
                let value = f32::from_le_bytes(value[..].try_into().unwrap());
                (String::from_utf8(tag.clone()).unwrap(), value)
            });
            (
                u64::from_le_bytes(step.1[..].try_into().unwrap()),
                scalars.collect(),
            )
        };
        let named = |list: &[(&str, f32)]| -> Vec<(String, f32)> {
            list.iter()
                .map(|(tag, value)| ((*tag).to_owned(), *value))
                .collect()
        };
        // A loss of 0 is there all the same.
        assert_eq!(
            scalars(&found[1]),
            (1, named(&[("loss", 0.0), ("loss/t2v", 0.5)]))
        );
        assert_eq!(
            scalars(&found[2]),
            (
                300,
                named(&[("loss", 0.0), ("loss/t2v", 0.5), ("key_drift", 0.25)])
            )
        );
    }
}
