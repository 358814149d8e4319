//! Whole numbers in few characters: LEB128, deflated, in base64.

use std::io::{Read, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

/// Most bytes of one number.
const LONGEST: u64 = 10;

/// Packs numbers; small ones take a byte before they are compressed.
pub(super) fn pack(numbers: impl IntoIterator<Item = u64>) -> String {
    let mut bytes = Vec::new();
    for mut number in numbers {
        while number >= 0x80 {
            bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
    }
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&bytes).expect("memory takes every byte");
    STANDARD.encode(encoder.finish().expect("memory takes every byte"))
}

/// How many numbers a file may still unfold to: a few hundred bytes can claim to be gigabytes.
#[derive(Debug)]
pub(super) struct Budget(usize);

impl Budget {
    /// That of a file: 200 trials with 60,000 queries have as many.
    pub(super) fn of_file() -> Self {
        Self(36_000_000)
    }
}

/// Unpacks exactly `n` numbers.
///
/// # Errors
/// What is wrong, in words.
pub(super) fn unpack(text: &str, n: usize, budget: &mut Budget) -> Result<Vec<u64>, String> {
    budget.0 = budget.0.checked_sub(n).ok_or_else(|| {
        let Budget(most) = Budget::of_file();
        format!("more than {most} numbers")
    })?;
    let packed = STANDARD.decode(text).map_err(|error| error.to_string())?;
    // No more than `n` numbers can take, whatever the text claims to unfold to.
    let mut bytes = Vec::new();
    ZlibDecoder::new(&packed[..])
        .take((n as u64).saturating_mul(LONGEST).saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    let mut numbers = Vec::with_capacity(n.min(bytes.len()));
    let mut bytes = bytes.iter();
    while let Some(&first) = bytes.next() {
        let (mut number, mut byte, mut shift) = (u64::from(first & 0x7f), first, 7);
        while byte & 0x80 != 0 {
            byte = *bytes.next().ok_or("a number without its end")?;
            let part = u64::from(byte & 0x7f);
            if shift >= 64 || part << shift >> shift != part {
                return Err("a number beyond 64 bits".to_owned());
            }
            number |= part << shift;
            shift += 7;
        }
        numbers.push(number);
    }
    match numbers.len() == n {
        true => Ok(numbers),
        false => Err(format!("{} numbers instead of {n}", numbers.len())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_not_packed_numbers_is_refused() {
        let unpack = |text: &str, n| unpack(text, n, &mut Budget::of_file());
        let three = pack([1, 2, 3]);
        assert_eq!(unpack(&three, 4).unwrap_err(), "3 numbers instead of 4");
        assert_eq!(unpack(&three, 2).unwrap_err(), "3 numbers instead of 2");
        assert!(unpack("?", 3).is_err());
        assert!(unpack(&three[4..], 3).is_err());
        let raw = |bytes: &[u8]| {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(bytes).unwrap();
            STANDARD.encode(encoder.finish().unwrap())
        };
        assert_eq!(unpack(&raw(&[0x80]), 1).unwrap_err(), "a number without its end");
        assert_eq!(
            unpack(&raw(&[0xff; 11]), 1).unwrap_err(),
            "a number beyond 64 bits"
        );
        // A megabyte of zeros in a thousand bytes is not unfolded.
        assert!(unpack(&raw(&vec![0; 1 << 20]), 1).is_err());
    }

    #[test]
    fn a_file_has_an_end() {
        let (mut budget, three) = (Budget(5), pack([1, 2, 3]));
        assert!(unpack(&three, 3, &mut budget).is_ok());
        assert_eq!(
            unpack(&three, 3, &mut budget).unwrap_err(),
            "more than 36000000 numbers"
        );
    }

    #[test]
    fn small_ranks_take_less_than_a_byte_each() {
        let numbers = (0..30_000u64).flat_map(|query| [query * 7919 % 31 / 10, 1, 1]);
        assert!(pack(numbers).len() < 30_000);
    }

    proptest! {
        #[test]
        fn numbers_come_back(numbers in prop::collection::vec(any::<u64>(), 0..50), shift in 0u32..64) {
            let numbers: Vec<u64> = numbers.iter().map(|number| number >> shift).collect();
            let packed = pack(numbers.iter().copied());
            let found = unpack(&packed, numbers.len(), &mut Budget::of_file()).unwrap();
            prop_assert_eq!(found, numbers);
        }
    }
}
