//! Pickles that mean harm, or that no writer makes: each is refused with a place, quickly and in little memory.

use std::time::Instant;

use proptest::prelude::*;

use super::super::*;
use super::{PYTHON_2, PYTHON_2_TEXT, read, replaced, samples, show, values};
use crate::format::tests::{file, member};
use crate::format::{FormatError, Matrix};

/// What is behind "`F`, byte " in the error.
fn refusal(bytes: &[u8]) -> String {
    let error = read(bytes).unwrap_err();
    let rest = error.strip_prefix("`F`, byte ");
    rest.unwrap_or_else(|| panic!("no position: {error}")).to_owned()
}

#[test]
fn functions_and_classes_are_refused_by_name() {
    for (bytes, expected) in [
        (
            &b"cos\nsystem\n(S'true'\ntR."[..],
            "0: expected plain values and NumPy arrays, found `os system`",
        ),
        (
            b"cposix\nsystem\n.",
            "0: expected plain values and NumPy arrays, found `posix system`",
        ),
        (
            b"(S'true'\nios\nsystem\n.",
            "9: expected plain values and NumPy arrays, found `os system`",
        ),
        (
            b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x01x\x85R.",
            "18: expected plain values and NumPy arrays, found `builtins eval`",
        ),
        (
            b"\x80\x02c__builtin__\neval\n.",
            "2: expected plain values and NumPy arrays, found `__builtin__ eval`",
        ),
        (
            b"cnumpy.core.multiarray\nscalar\n.",
            "0: expected plain values and NumPy arrays, found `numpy.core.multiarray scalar`",
        ),
        (
            b"cnumpy\nload\n.",
            "0: expected plain values and NumPy arrays, found `numpy load`",
        ),
        (
            b"c\n\xff\n.",
            "0: expected plain values and NumPy arrays, found ` \\xff`",
        ),
        (
            b"cnumpy\nndarray\n.",
            "0: expected plain values and NumPy arrays, found a function or class",
        ),
        (
            b"(cnumpy\nndarray\no.",
            "16: expected plain values and NumPy arrays, found an object (`OBJ`)",
        ),
        (
            b"(inumpy\nndarray\n.",
            "1: expected plain values and NumPy arrays, found `numpy ndarray`",
        ),
        (
            b"\x80\x02cnumpy\nndarray\n)\x81.",
            "18: expected plain values and NumPy arrays, found an object (`NEWOBJ`)",
        ),
        (
            b"\x80\x04cnumpy\nndarray\n)}\x92.",
            "19: expected plain values and NumPy arrays, found an object (`NEWOBJ_EX`)",
        ),
        (
            b"cnumpy\nndarray\n)R.",
            "16: expected no call of `numpy ndarray`, found a call with ()",
        ),
        (
            b"K\x01)R.",
            "3: expected plain values and NumPy arrays, found a call of the integer 1",
        ),
        (
            b"P1\n.",
            "0: expected plain values and NumPy arrays, found a persistent id (`PERSID`)",
        ),
        (
            b"NQ.",
            "1: expected plain values and NumPy arrays, found a persistent id (`BINPERSID`)",
        ),
        (
            b"\x82\x01.",
            "0: expected plain values and NumPy arrays, found an extension code (`EXT1`)",
        ),
        (
            b"\x97.",
            "0: expected plain values and NumPy arrays, found bytes outside of the file (`NEXT_BUFFER`)",
        ),
        (
            b"N\x98.",
            "1: expected plain values and NumPy arrays, found bytes outside of the file (`READONLY_BUFFER`)",
        ),
        (
            b"\x8f.",
            "0: expected plain values and NumPy arrays, found a set (`EMPTY_SET`)",
        ),
        (
            b"}}b.",
            "2: expected a new array or element type to build, found a dictionary",
        ),
    ] {
        assert_eq!(refusal(bytes), expected);
        let (_folder, location) = file("a.pkl", bytes);
        let error = Pickle::read(&location.path).unwrap_err();
        assert_eq!(
            error.remedy().is_some(),
            expected.contains("plain values"),
            "{expected}"
        );
    }
    assert_eq!(
        refusal(samples::SCALAR),
        "2: expected plain values and NumPy arrays, found `numpy._core.multiarray scalar`"
    );
}

#[test]
fn pickles_that_no_writer_makes_are_refused_with_a_place() {
    for (bytes, expected) in [
        (&b""[..], "0: expected an opcode, found the end"),
        (b"\x80\x06N.", "0: expected a protocol up to 5, found protocol 6"),
        (b"N", "1: expected an opcode, found the end"),
        (b"\x00", "0: expected an opcode, found `\\x00`"),
        (b"N.N", "2: expected the end of the pickle, found 1 more bytes"),
        (
            b"NN.",
            "2: expected one value at the end, found 1 more and 0 marks",
        ),
        (b"(.", "1: expected a value on the stack, found none"),
        (b"N(.", "2: expected a value on the stack, found none"),
        (b".", "0: expected a value on the stack, found none"),
        (b"0N.", "0: expected a mark on the stack, found none"),
        (b"t.", "0: expected a mark on the stack, found none"),
        (b"NN(\x86.", "3: expected a value on the stack, found none"),
        (b"N(2.", "2: expected a value on the stack, found none"),
        (b"2.", "0: expected a value on the stack, found none"),
        (b"NNa.", "2: expected a list to add to, found None"),
        (b"](NNu.", "4: expected a dictionary to add to, found a list of 0"),
        (
            b"}(Nu.",
            "3: expected keys with their values, found 1 values on the stack",
        ),
        (
            b"(Nd.",
            "2: expected keys with their values, found 1 values on the stack",
        ),
        (b"}NNs.", "1: expected keys that are text or integers, found None"),
        (
            b"}(\x88Nu.",
            "2: expected keys that are text or integers, found a bool",
        ),
        (
            b"h\x05.",
            "0: expected an index that the memo has, found 5, which it has not",
        ),
        (
            b"g-1\n.",
            "0: expected an index that the memo has, found one, which it has not",
        ),
        (
            b"Np4294967296\n.",
            "1: expected an index of the memo, found a larger number",
        ),
        (b"q\0.", "0: expected a value on the stack, found none"),
        (b"\x94.", "0: expected a value on the stack, found none"),
        (b"Ix\n.", "0: expected an integer, found `x`"),
        (
            b"I9223372036854775808\n.",
            "0: expected an integer of at most 64 bits, found a longer one",
        ),
        (
            b"\x8a\x09\0\0\0\0\0\0\0\0\x01.",
            "0: expected an integer of at most 64 bits, found a longer one",
        ),
        (
            b"\x8b\xff\xff\xff\x7f.",
            "5: expected 2147483647 bytes of an integer, found the end after 1",
        ),
        (b"\x8b\xff\xff\xff\xff.", "0: expected a length, found -1"),
        (b"T\0\0\0\x80.", "0: expected a length, found -2147483648"),
        (
            b"B\xff\xff\xff\xff",
            "5: expected 4294967295 bytes of bytes, found the end",
        ),
        (
            b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffa",
            "9: expected 18446744073709551615 bytes of text, found the end after 1",
        ),
        (b"X\x02\0\0\0a\xff.", "6: expected UTF-8, found other bytes"),
        (b"S'a\n.", "0: expected a string in quotes, found `\\'a`"),
        (
            b"V\\ud800\n.",
            "0: expected 4 hexadecimal digits that name a character, found `d800`",
        ),
        (b"F1,5\n.", "0: expected a number, found `1,5`"),
        (
            b"I1",
            "2: expected an integer and the end of its line, found the end",
        ),
        (
            b"\x80\x04\x95\x02\0\0\0\0\0\0\0N",
            "2: expected a frame of at most 1 bytes, found one of 2",
        ),
        (b"NN\x93.", "2: expected a name as text, found None"),
    ] {
        assert_eq!(refusal(bytes), expected);
    }
}

/// [`PYTHON_2`] with a part replaced.
fn with(part: &[u8], other: &[u8]) -> Vec<u8> {
    let found = replaced(PYTHON_2, part, other);
    assert_ne!(found, PYTHON_2, "{}", part.escape_ascii());
    found
}

#[test]
fn arguments_that_numpy_does_not_write_are_refused() {
    let values = b"U\x18\0\0\x80?\0\0\0@\0\0@@\0\0\x80@\0\0\xa0@\0\0\xc0@";
    for (bytes, expected) in [
        (
            with(b"K\0\x85U", b"K\x01\x85U"),
            "64: expected `_reconstruct` of `numpy ndarray`, `(0,)` and `b`, \
             found a call with (a function or class, a tuple of 1, text)",
        ),
        (
            with(b"K\0K\x01\x87R", b"K\0K\0\x87R"),
            "99: expected `numpy dtype` of a type, `False` and `True`, \
             found a call with (text, the integer 0, the integer 0)",
        ),
        (
            with(b"U\x02f4", b"U\x02;4"),
            "99: expected `numpy dtype` of a type, `False` and `True`, \
             found a call with (text, the integer 0, the integer 1)",
        ),
        (
            with(b"U\x01<", b"U\x01!"),
            "124: expected the state of an element type without fields, found a tuple of 8 as its state",
        ),
        (
            with(b"<NNN", b"<N)N"),
            "124: expected the state of an element type without fields, found a tuple of 8 as its state",
        ),
        (
            with(b"(K\x01K\x02K\x03\x86", b"(K\x02K\x02K\x03\x86"),
            "153: expected the state of an array: 1, shape, type, order and values, found a tuple of 5 as its state",
        ),
        (
            with(b"K\x02K\x03\x86", b"K\x02K\x04\x86"),
            "153: expected 32 bytes of values for f32 of shape (2, 4), found 24",
        ),
        (
            with(b"K\x02K\x03\x86", b"J\xff\xff\xff\xffK\x03\x86"),
            "156: expected a shape of at most 64 sizes, found a tuple of 2",
        ),
        (
            with(
                b"K\x02K\x03\x86",
                &[&b"("[..], &b"K\x01".repeat(65), b"t"].concat(),
            ),
            "280: expected a shape of at most 64 sizes, found a tuple of 65",
        ),
        (
            with(
                b"K\x02K\x03\x86",
                b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7fK\x03\x86",
            ),
            "161: expected more than any memory has bytes of values for f32 of shape (9223372036854775807, 3), found 24",
        ),
        (
            with(values, b"X\0\0\0\0"),
            "132: expected bytes with the values of an array, found text",
        ),
    ] {
        assert_eq!(refusal(&bytes), expected);
    }
    let fields = refusal(samples::FIELDS);
    assert!(
        fields.contains("expected the state of an element type without fields"),
        "{fields}"
    );
    for (text, expected) in [
        (
            &b"X\x01\0\0\0bX\x05\0\0\0ascii\x86"[..],
            "found a call with (text, text)",
        ),
        (b"C\x01bX\x06\0\0\0latin1\x86", "found a call with (bytes, text)"),
        (b"N", "found a call with None"),
        (
            b"X\x04\0\0\0a\xe2\x82\xacX\x06\0\0\0latin1\x86",
            "expected characters below 256 to encode as `latin1`, found another at byte 1 of the text",
        ),
    ] {
        let error = refusal(&[&b"c_codecs\nencode\n"[..], text, b"R."].concat());
        assert!(error.ends_with(expected), "{error}");
    }
    // An array or a type is built once, and a type before it is used.
    let twice = [&PYTHON_2[..PYTHON_2.len() - 1], b"Nb."].concat();
    assert!(refusal(&twice).ends_with("expected a new array or element type to build, found an array"));
    let unbuilt = with(b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb", b"");
    assert!(
        refusal(&unbuilt).ends_with("expected an element type with its byte order, found an element type")
    );
    let shell = [&PYTHON_2[..65], b"."].concat();
    assert!(
        refusal(&shell).ends_with("found an array without values"),
        "{}",
        refusal(&shell)
    );
}

#[test]
fn what_contains_itself_is_refused() {
    for (bytes, expected) in [
        (
            &b"]q\0h\0a."[..],
            "0: expected plain values and NumPy arrays, found a list of 1 that contains itself",
        ),
        (
            b"}q\0U\x01ah\0s.",
            "0: expected plain values and NumPy arrays, found a dictionary that contains itself",
        ),
        (
            b"]q\0(h\0tq\x01a0h\x01.",
            "6: expected plain values and NumPy arrays, found a tuple of 1 that contains itself",
        ),
        (
            b"]q\0]q\x01h\0aah\x01a.",
            "0: expected plain values and NumPy arrays, found a list of 2 that contains itself",
        ),
    ] {
        assert_eq!(refusal(bytes), expected);
    }
}

#[test]
fn shared_values_must_not_come_to_much_more_than_the_file() {
    let start = Instant::now();
    // Forty lists of two references each to the one before: a terabyte of values in 200 bytes.
    let mut laughs = b"]q\0".to_vec();
    for level in 0..40u8 {
        laughs.extend([b'h', level, b'h', level, 0x86, b'q', level + 1]);
    }
    laughs.push(b'.');
    // Only the last tuple is wanted; the others are popped.
    let last = [&b"("[..], &laughs[..laughs.len() - 1], b"1h\x28."].concat();
    assert_eq!(
        refusal(&last),
        format!(
            "{}: expected values of at most {} bytes, found shared values that are more when each is written out",
            1 + 3 + 39 * 7 + 4,
            64 << 20
        )
    );
    // A text of a million bytes, a million times.
    let mut texts = b"\x80\x02](X".to_vec();
    texts.extend(1_000_000u32.to_le_bytes());
    texts.extend(vec![b'a'; 1_000_000]);
    texts.extend(b"q\0");
    texts.extend(b"h\0".repeat(1_000_000));
    texts.extend(b"e.");
    assert!(
        refusal(&texts).contains("expected values of at most 192000"),
        "{}",
        refusal(&texts)
    );
    // The same text as a key, a million times.
    let last = texts.len() - 2;
    let keys = [b"\x80\x02}(X", &texts[5..last], &b"h\0"[..], b"u."].concat();
    assert!(refusal(&keys).contains("expected values of at most 192000"));
    // Words in many captions are no harm.
    let words = [&b"](X\x05\0\0\0womanq\0"[..], &b"h\0".repeat(100_000), b"e."].concat();
    let (_folder, location) = file("a.pkl", &words);
    let pickle = Pickle::read(&location.path).unwrap();
    let View::List(items) = pickle.root().view() else {
        panic!("a list")
    };
    assert_eq!(items.len(), 100_001);
    assert!(start.elapsed().as_secs() < 300);
}

#[test]
fn no_depth_is_too_deep() {
    const DEPTH: usize = 1_000_000;
    let start = Instant::now();
    let marks = vec![b'('; DEPTH];
    assert_eq!(
        refusal(&marks),
        format!("{DEPTH}: expected an opcode, found the end")
    );
    for bytes in [
        [&b"]"[..], &vec![b']'; DEPTH], &vec![b'a'; DEPTH], b"."].concat(),
        [&b")"[..], &vec![0x85; DEPTH], b"."].concat(),
        [&marks[..], &vec![b't'; DEPTH], b"."].concat(),
        [&marks[..], &vec![b'l'; DEPTH], b"."].concat(),
    ] {
        let (_folder, location) = file("a.pkl", &bytes);
        let pickle = Pickle::read(&location.path).unwrap();
        let mut depth = 0;
        let mut value = pickle.root();
        while let View::List(mut items) | View::Tuple(mut items) = value.view() {
            depth += 1;
            match items.next() {
                Some(inner) => value = inner,
                None => break,
            }
        }
        assert!((DEPTH..=DEPTH + 1).contains(&depth), "{depth}");
        assert!(pickle.array(None).is_err());
    }
    assert!(start.elapsed().as_secs() < 300);
}

#[test]
fn memory_stays_in_proportion_to_the_file() {
    const LEN: usize = 100_000;
    for pattern in [
        &b"]"[..],
        b"N",
        b")\x85",
        b"]Na",
        b"(",
        b"]\x94",
        b"]2",
        b"K\x012\x86",
        b"}NNs",
        b"U\0",
    ] {
        let bytes = pattern.repeat(LEN);
        let heap = super::super::machine::heap_bytes(&bytes);
        assert!(heap <= 150 * bytes.len(), "{}: {heap}", pattern.escape_ascii());
    }
}

#[test]
fn memo_indices_make_nothing_large() {
    assert_eq!(read(b"K\x07r\xff\xff\xff\xff0j\xff\xff\xff\xff.").unwrap(), "7");
    assert_eq!(read(b"K\x07p4294967295\n0g4294967295\n.").unwrap(), "7");
}

#[test]
fn objects_must_be_as_many_as_their_shape_says() {
    let (_folder, location) = file("a.pkl", samples::OBJECTS_2);
    assert!(Pickle::read(&location.path).is_ok());
    let fewer = replaced(samples::OBJECTS_2, b"(NX", b"(X");
    assert_ne!(fewer, samples::OBJECTS_2);
    let error = read(&fewer).unwrap_err();
    assert!(
        error.ends_with("expected objects for an array of shape (2,), found 1"),
        "{error}"
    );
    let other = replaced(samples::OBJECTS_NPY, b"(2,)", b"(3,)");
    let error = read(&other).unwrap_err();
    assert!(
        error.contains("expected an array of objects of shape (3,), found one of shape (2,)"),
        "{error}"
    );
}

#[test]
fn no_sample_can_be_cut_short() {
    for sample in samples::ALL.iter().chain(&[PYTHON_2, PYTHON_2_TEXT]) {
        for cut in 0..sample.len() {
            let (_folder, location) = file("a.pkl", &sample[..cut]);
            let error = Pickle::read(&location.path).unwrap_err();
            assert!(matches!(error, FormatError::Malformed { .. }), "{cut}: {error}");
        }
    }
}

/// Everything that can be asked of a file.
fn touch(bytes: &[u8]) {
    let (_folder, location) = file("a.pkl", bytes);
    if let Ok(pickle) = Pickle::read(&location.path) {
        assert!(!show(pickle.root()).is_empty());
    }
    for location in [location.clone(), member(&location, "sims")] {
        if let Ok(matrix) = Matrix::read(&location) {
            assert!(values(&matrix).len() <= bytes.len());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        touch(&bytes);
    }

    #[test]
    fn no_opcodes_make_it_panic(
        opcodes in prop::collection::vec(prop::sample::select(&b"(.012NIKRabcdeghlpqstu]})\x85\x86\x87\x88\x89\x93\x94\x8c\x01\0\n"[..]), 0..60),
        tail in any::<bool>(),
    ) {
        let mut bytes = opcodes;
        if tail {
            bytes.push(b'.');
        }
        touch(&bytes);
    }

    #[test]
    fn no_damage_makes_it_panic(
        sample in prop::sample::select(samples::ALL),
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<Option<prop::sample::Index>>(),
    ) {
        let mut bytes = sample.to_vec();
        for (at, byte) in places {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(sample.len()));
        }
        touch(&bytes);
    }
}
