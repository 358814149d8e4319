use super::*;
use crate::format::tests::{dictionary, file, message, npy};

fn mask(descr: &str, shape: &[usize], values: &[u8]) -> Result<Mask, String> {
    let (_folder, location) = file("mask.npy", &npy(&dictionary(descr, false, shape), values));
    Mask::read(&location).map_err(|error| message(&error, &location))
}

#[test]
fn masks_of_every_type() {
    for (descr, zero, one) in [
        ("|b1", vec![0], vec![1]),
        ("|u1", vec![0], vec![1]),
        ("<i8", vec![0; 8], vec![1, 0, 0, 0, 0, 0, 0, 0]),
        (">i2", vec![0; 2], vec![0, 1]),
        ("<f4", vec![0; 4], 1f32.to_le_bytes().to_vec()),
        (">f8", vec![0; 8], 1f64.to_be_bytes().to_vec()),
        ("<f2", vec![0; 2], f16::ONE.to_le_bytes().to_vec()),
    ] {
        let values = [&one[..], &zero, &zero, &one].concat();
        for shape in [&[4][..], &[2, 2]] {
            let found = mask(descr, shape, &values).unwrap();
            assert_eq!(found.kept, [true, false, false, true], "{descr}");
            assert_eq!(found.shape, shape);
        }
    }
}

#[test]
fn masks_hold_zeros_and_ones_only() {
    let expect = |value: &str, place: usize| {
        Err(format!(
            "`F`: expected zeros and ones, found {value} at entry {place}"
        ))
    };
    let kept = |found: Result<Mask, String>| found.map(|mask| mask.kept);
    assert_eq!(kept(mask("|u1", &[3], &[1, 0, 2])), expect("2", 2));
    assert_eq!(kept(mask("|i1", &[1], &[255])), expect("255", 0));
    assert_eq!(kept(mask("<f4", &[1], &f32::NAN.to_le_bytes())), expect("NaN", 0));
    assert_eq!(kept(mask("<f8", &[1], &0.5f64.to_le_bytes())), expect("0.5", 0));
}
