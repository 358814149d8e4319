//! What no pickle of plain values and NumPy arrays holds.

/// What an opcode is for that is never followed; `None` for one that is, or that does not exist.
pub(super) fn name(opcode: u8) -> Option<&'static str> {
    Some(match opcode {
        b'P' => "a persistent id (`PERSID`)",
        b'Q' => "a persistent id (`BINPERSID`)",
        b'i' => "an object (`INST`)",
        b'o' => "an object (`OBJ`)",
        0x81 => "an object (`NEWOBJ`)",
        0x92 => "an object (`NEWOBJ_EX`)",
        0x82 => "an extension code (`EXT1`)",
        0x83 => "an extension code (`EXT2`)",
        0x84 => "an extension code (`EXT4`)",
        0x8f => "a set (`EMPTY_SET`)",
        0x90 => "a set (`ADDITEMS`)",
        0x91 => "a set (`FROZENSET`)",
        0x97 => "bytes outside of the file (`NEXT_BUFFER`)",
        0x98 => "bytes outside of the file (`READONLY_BUFFER`)",
        _ => return None,
    })
}
