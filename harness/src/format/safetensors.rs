//! safetensors: a JSON header with names, types, shapes and places, then the values.

use std::sync::Arc;

use hitbench_kernels::map::FileMap;
use safetensors::tensor::Metadata;
use safetensors::{Dtype, SafeTensors};

use super::array::check_length;
use super::buffer::Buffer;
use super::error::FormatError;
use super::flaw::Flaw;
use super::layout::{Element, Layout};
use super::location::Location;

/// Bytes of the header's length at the start of a file.
const LENGTH_BYTES: usize = 8;

/// Whether a file begins as one: a length, then a JSON object.
pub(crate) fn is_likely(bytes: &[u8]) -> bool {
    bytes.get(LENGTH_BYTES) == Some(&b'{')
}

/// Reads the tensor that `location` names, or the only one there is.
///
/// # Errors
/// [`FormatError::Container`] for a damaged header, [`FormatError::Member`] for a name that is not there or is needed,
/// [`FormatError::Malformed`] for a type that cannot be ranked.
pub(crate) fn read(location: &Location, map: &Arc<FileMap>) -> Result<(Layout, Buffer), FormatError> {
    let header = SafeTensors::read_metadata(map);
    let (header_len, metadata) = header.map_err(|source| {
        cut_short(location, map).unwrap_or_else(|| FormatError::Container {
            location: location.clone(),
            source: Box::new(source),
        })
    })?;
    let names = metadata.offset_keys();
    let name = match &location.member {
        Some(member) => names.iter().find(|name| *name == member),
        None => names.first().filter(|_| names.len() == 1),
    };
    let found = name.and_then(|name| metadata.info(name));
    let Some(info) = found else {
        return Err(FormatError::Member {
            path: location.path.clone(),
            member: location.member.clone(),
            known: names,
        });
    };
    // `read_metadata` checked that offsets lie in the file and agree with shape and type.
    let (start, end) = info.data_offsets;
    let values = LENGTH_BYTES + header_len + start..LENGTH_BYTES + header_len + end;
    let layout = Layout {
        element: element(info.dtype).ok_or_else(|| {
            let expected = "a tensor of F16, BF16, F32 or F64 (masks also of BOOL, I or U)";
            FormatError::flaw(
                location,
                Flaw::new(LENGTH_BYTES, expected, format!("{:?}", info.dtype)),
            )
        })?,
        swapped: cfg!(target_endian = "big"),
        fortran: false,
        shape: info.shape.clone(),
    };
    check_length(location, &layout, values.start, values.len())?;
    let buffer = Buffer::Mapped {
        map: Arc::clone(map),
        range: values,
    };
    Ok((layout, buffer))
}

fn element(dtype: Dtype) -> Option<Element> {
    Some(match dtype {
        Dtype::F16 => Element::F16,
        Dtype::BF16 => Element::Bf16,
        Dtype::F32 => Element::F32,
        Dtype::F64 => Element::F64,
        Dtype::BOOL => Element::Bool,
        Dtype::I8 | Dtype::U8 => Element::Int(1),
        Dtype::I16 | Dtype::U16 => Element::Int(2),
        Dtype::I32 | Dtype::U32 => Element::Int(4),
        Dtype::I64 | Dtype::U64 => Element::Int(8),
        _ => return None,
    })
}

/// The most frequent damage, told with its place: a file that ends before its header or its values do.
fn cut_short(location: &Location, bytes: &[u8]) -> Option<FormatError> {
    let (length, rest) = bytes.split_first_chunk::<LENGTH_BYTES>()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let ends = |expected: String| {
        let flaw = Flaw::new(bytes.len(), expected, "the end of the file");
        Some(FormatError::flaw(location, flaw))
    };
    let Some((header, values)) = rest.split_at_checked(length) else {
        return ends(format!("a header of {length} bytes"));
    };
    let metadata: Metadata = serde_json::from_slice(header).ok()?;
    let expected = metadata.data_len();
    (expected > values.len())
        .then(|| ends(format!("{expected} bytes of values, {} are there", values.len())))
        .flatten()
}
