//! Numbers and strings as pickles write them.

use std::borrow::Cow;

use crate::format::flaw::Flaw;

/// A little-endian integer in two's complement of any length.
pub(super) fn long(bytes: &[u8], at: usize) -> Result<i64, Flaw> {
    let negative = bytes.last().is_some_and(|&byte| byte >= 0x80);
    let sign = if negative { 0xff } else { 0 };
    let mut low = [sign; 8];
    let n_low = bytes.len().min(8);
    low[..n_low].copy_from_slice(&bytes[..n_low]);
    let value = i64::from_le_bytes(low);
    let fits = bytes[n_low..].iter().all(|&byte| byte == sign) && (value < 0) == negative;
    fits.then_some(value).ok_or_else(|| too_long(at))
}

fn too_long(at: usize) -> Flaw {
    Flaw::new(at, "an integer of at most 64 bits", "a longer one")
}

/// A line with an integer; one of Python 2's long integers ends in `L`.
pub(super) fn decimal(line: &[u8], at: usize) -> Result<i64, Flaw> {
    let text = line.trim_ascii();
    let text = text.strip_suffix(b"L").unwrap_or(text);
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Flaw::new(at, "an integer", quoted(line)));
    }
    let number = str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| too_long(at))
}

/// A line with a number as Python's `repr` writes it.
pub(super) fn float(line: &[u8], at: usize) -> Result<f64, Flaw> {
    let number = str::from_utf8(line.trim_ascii())
        .ok()
        .and_then(|text| text.parse().ok());
    number.ok_or_else(|| Flaw::new(at, "a number", quoted(line)))
}

/// The start of a line for a message.
pub(super) fn quoted(line: &[u8]) -> String {
    format!("`{}`", line[..line.len().min(40)].escape_ascii())
}

/// A line with a string in quotes and Python 2's escapes, decoded to the end of `out`.
pub(super) fn string(line: &[u8], at: usize, out: &mut Vec<u8>) -> Result<(), Flaw> {
    let flaw = |expected: &str| Flaw::new(at, expected, quoted(line));
    let mut rest = match line.trim_ascii_end() {
        [quote @ (b'\'' | b'"'), inner @ .., last] if quote == last => inner,
        _ => return Err(flaw("a string in quotes")),
    };
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let Some((&escape, after)) = rest.split_first() else {
            return Err(flaw("a string without a backslash at its end"));
        };
        rest = after;
        let plain = match escape {
            b'\\' | b'\'' | b'"' => escape,
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'a' => 7,
            b'b' => 8,
            b'f' => 12,
            b'v' => 11,
            b'x' => {
                let value = hex(rest, 2).and_then(|value| u8::try_from(value).ok());
                rest = rest.get(2..).unwrap_or_default();
                value.ok_or_else(|| flaw("two hexadecimal digits behind `\\x`"))?
            }
            b'0'..=b'7' => {
                let more = rest
                    .iter()
                    .take(2)
                    .take_while(|digit| (b'0'..=b'7').contains(digit));
                let n_more = more.count();
                let digits = std::iter::once(&escape).chain(&rest[..n_more]);
                let value = digits.fold(0u16, |value, digit| value * 8 + u16::from(digit - b'0'));
                rest = &rest[n_more..];
                // Python keeps the low eight bits of `\777`.
                (value & 0xff) as u8
            }
            other => {
                out.push(b'\\');
                other
            }
        };
        out.push(plain);
    }
    Ok(())
}

/// A line of text in which `\u` and `\U` name characters and other bytes are Latin-1, decoded to the end of `out`.
pub(super) fn raw_unicode(line: &[u8], at: usize, out: &mut Vec<u8>) -> Result<(), Flaw> {
    let mut utf8 = [0; 4];
    let mut rest = line;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let digits = match (byte, after.first()) {
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            (b'\\', Some(b'\\')) => {
                out.extend(b"\\\\");
                rest = &after[1..];
                continue;
            }
            _ => {
                out.extend(char::from(byte).encode_utf8(&mut utf8).as_bytes());
                continue;
            }
        };
        let named = hex(&after[1..], digits).and_then(char::from_u32);
        let Some(named) = named else {
            let expected = format!("{digits} hexadecimal digits that name a character");
            return Err(Flaw::new(at, expected, quoted(&after[1..])));
        };
        out.extend(named.encode_utf8(&mut utf8).as_bytes());
        rest = &after[1 + digits..];
    }
    Ok(())
}

/// The number that the first `n` hexadecimal digits make.
fn hex(bytes: &[u8], n: usize) -> Option<u32> {
    bytes.get(..n)?.iter().try_fold(0u32, |value, &digit| {
        Some(value << 4 | char::from(digit).to_digit(16)?)
    })
}

/// Text that was checked when it was read.
pub(super) fn utf8(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// One character a byte.
pub(super) fn latin1(bytes: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(bytes) {
        Ok(text) if bytes.is_ascii() => Cow::Borrowed(text),
        _ => Cow::Owned(bytes.iter().copied().map(char::from).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_integers_of_every_length() {
        for (bytes, expected) in [
            (&b""[..], Some(0)),
            (b"\x00", Some(0)),
            (b"\xff", Some(-1)),
            (b"\xff\x00", Some(255)),
            (b"\x00\x80", Some(-32768)),
            (b"\xff\xff\xff\xff\xff\xff\xff\x7f", Some(i64::MAX)),
            (b"\x00\x00\x00\x00\x00\x00\x00\x80", Some(i64::MIN)),
            (b"\xff\xff\xff\xff\xff\xff\xff\x7f\x00\x00", Some(i64::MAX)),
            (b"\x00\x00\x00\x00\x00\x00\x00\x80\xff", Some(i64::MIN)),
            (b"\x00\x00\x00\x00\x00\x00\x00\x80\x00", None),
            (b"\xff\xff\xff\xff\xff\xff\xff\x7f\xff", None),
            (b"\x00\x00\x00\x00\x00\x00\x00\x00\x01", None),
        ] {
            assert_eq!(long(bytes, 7).ok(), expected, "{bytes:?}");
        }
    }

    #[test]
    fn lines_with_numbers() {
        assert_eq!(decimal(b"-12L", 0), Ok(-12));
        assert_eq!(decimal(b"9223372036854775807", 0), Ok(i64::MAX));
        assert_eq!(decimal(b"9223372036854775808", 3), Err(too_long(3)));
        for text in ["", "-", "L", "+1", "1_0", "0x1", "1.0"] {
            assert!(decimal(text.as_bytes(), 0).is_err(), "{text}");
        }
        assert_eq!(float(b"-1e-05", 0), Ok(-1e-5));
        assert!(float(b"nan", 0).unwrap().is_nan());
        assert!(float(b"1,5", 0).is_err());
    }

    #[test]
    fn strings_of_python_2() {
        let decoded = |line: &str| {
            let mut out = Vec::new();
            string(line.as_bytes(), 0, &mut out).map(|()| out)
        };
        assert_eq!(
            decoded(r#"'a\n\'\\\x00\xfF\101\0z"\q'"#).unwrap(),
            b"a\n'\\\x00\xffA\x00z\"\\q"
        );
        assert_eq!(decoded("\"\" ").unwrap(), b"");
        for line in ["", "'", "'a", "'a\"", r"'\'", r"'\x0'", r"'\xg0'"] {
            assert!(decoded(line).is_err(), "{line}");
        }
    }

    #[test]
    fn text_of_protocol_0() {
        let decoded = |line: &[u8]| {
            let mut out = Vec::new();
            raw_unicode(line, 0, &mut out).map(|()| String::from_utf8(out).unwrap())
        };
        assert_eq!(
            decoded(b"a\xe9\\u20ac\\U0001f600\\n\\\\u0041\\u005c").unwrap(),
            "a\u{e9}\u{20ac}\u{1f600}\\n\\\\u0041\\"
        );
        for line in [&b"\\u12"[..], b"\\ud83d\\ude00", b"\\U00110000", b"\\u+123"] {
            assert!(decoded(line).is_err(), "{line:?}");
        }
    }
}
