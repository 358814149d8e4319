use super::*;

/// A datatype message: class and version, flags, size, properties.
fn message(class: u8, flags: [u8; 3], size: u32, properties: &[u8]) -> Vec<u8> {
    let mut bytes = vec![class | 0x10];
    bytes.extend(flags);
    bytes.extend(size.to_le_bytes());
    bytes.extend(properties);
    bytes
}

fn float(flags: [u8; 3], size: u32, bits: [u16; 2], fields: [u8; 4], bias: u32) -> Vec<u8> {
    let mut properties = bits.map(u16::to_le_bytes).concat();
    properties.extend(fields);
    properties.extend(bias.to_le_bytes());
    message(FLOAT, flags, size, &properties)
}

fn plain(element: Element, swapped: bool) -> Kind {
    Kind::Plain { element, swapped }
}

#[test]
fn numbers_are_known_by_all_of_their_bits() {
    let little = cfg!(target_endian = "big");
    let f32 = |flags, bits, fields, bias| parse(&float(flags, 4, bits, fields, bias));
    let usual = [23, 8, 0, 23];
    assert_eq!(
        f32([0x20, 31, 0], [0, 32], usual, 127),
        plain(Element::F32, little)
    );
    assert_eq!(
        f32([0x21, 31, 0], [0, 32], usual, 127),
        plain(Element::F32, !little)
    );
    let other = Kind::Other("a floating-point number of unusual bits, 4 bytes".to_owned());
    for odd in [
        // VAX order, filled bits, an explicit leading one, the sign elsewhere.
        f32([0x61, 31, 0], [0, 32], usual, 127),
        f32([0x22, 31, 0], [0, 32], usual, 127),
        f32([0x00, 31, 0], [0, 32], usual, 127),
        f32([0x20, 0, 0], [0, 32], usual, 127),
        f32([0x20, 31, 0], [1, 31], usual, 127),
        f32([0x20, 31, 0], [0, 31], usual, 127),
        f32([0x20, 31, 0], [0, 32], [24, 7, 0, 24], 127),
        f32([0x20, 31, 0], [0, 32], usual, 128),
    ] {
        assert_eq!(odd, other);
    }
    let half = |fields, bias| parse(&float([0x20, 15, 0], 2, [0, 16], fields, bias));
    assert_eq!(half([10, 5, 0, 10], 15), plain(Element::F16, little));
    assert_eq!(half([7, 8, 0, 7], 127), plain(Element::Bf16, little));
    let double = float([0x20, 63, 0], 8, [0, 64], [52, 11, 0, 52], 1023);
    assert_eq!(parse(&double), plain(Element::F64, little));
}

#[test]
fn integers_fill_their_bytes() {
    let integer = |flags: u8, size: u32, offset: u16, bits: u16| {
        let properties = [offset, bits].map(u16::to_le_bytes).concat();
        parse(&message(INTEGER, [flags, 0, 0], size, &properties))
    };
    let little = cfg!(target_endian = "big");
    for size in [1, 2, 4, 8] {
        let element = Element::Int(size as usize);
        assert_eq!(integer(8, size, 0, size as u16 * 8), plain(element, little));
        assert_eq!(integer(1, size, 0, size as u16 * 8), plain(element, !little));
    }
    let other = |size| Kind::Other(format!("an integer of unusual bits, {size} bytes"));
    assert_eq!(integer(0, 4, 0, 31), other(4));
    assert_eq!(integer(0, 4, 1, 32), other(4));
    assert_eq!(integer(0, 3, 0, 24), other(3));
    // 260 bytes are not 4.
    assert_eq!(integer(0, 260, 0, 32), other(260));
}

#[test]
fn texts_truth_values_and_the_rest() {
    let byte = message(INTEGER, [8, 0, 0], 1, &[0, 0, 8, 0]);
    let truth = parse(&message(ENUMERATION, [2, 0, 0], 1, &byte));
    assert_eq!(truth, plain(Element::Int(1), cfg!(target_endian = "big")));
    let text = parse(&message(STRING, [1, 0, 0], 7, &[]));
    assert_eq!(text, plain(Element::Bytes(7), false));
    assert_eq!(
        parse(&message(VARIABLE_LENGTH, [1, 0, 0], 16, &byte)),
        Kind::Texts
    );
    let other = |bytes: &[u8], name: &str| assert_eq!(parse(bytes), Kind::Other(name.to_owned()));
    other(&message(STRING, [1, 0, 0], 0, &[]), "a text, 0 bytes");
    other(
        &message(VARIABLE_LENGTH, [0, 0, 0], 16, &byte),
        "a sequence of any length, 16 bytes",
    );
    other(&message(6, [1, 0, 0], 8, &[]), "a compound, 8 bytes");
    other(
        &message(ENUMERATION, [2, 0, 0], 4, &message(FLOAT, [0; 3], 4, &[])),
        "an enumeration of unusual integers, 4 bytes",
    );
    other(&byte[..10], "an integer of unusual bits, 1 bytes");
    other(&[], "an unknown type, 0 bytes");
}
