//! Operations of libtorch that the binding lacks, called by TorchScript.

use std::cell::OnceCell;
use std::io::{Cursor, Write};

use tch::{CModule, IValue, Tensor};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::KernelError;

/// What the archive of a module holds: its code, a pickled object of the class without attributes, an empty tuple of
/// constants and the version of the format. Pickles are in protocol 2.
const ENTRIES: [(&str, &[u8]); 4] = [
    (
        "lerp/code/__torch__.py",
        b"class Lerp(Module):
  __parameters__ = []
  __buffers__ = []
  def forward(self: __torch__.Lerp,
    keys: List[Tensor],
    queries: List[Tensor],
    weight: float) -> NoneType:
    torch._foreach_lerp_(keys, queries, weight)
    return None
",
    ),
    ("lerp/data.pkl", b"\x80\x02c__torch__\nLerp\n)\x81}b."),
    ("lerp/constants.pkl", b"\x80\x02)."),
    ("lerp/version", b"3\n"),
];

thread_local! {
    /// The module, loaded when a thread first calls it.
    static LERP: OnceCell<CModule> = const { OnceCell::new() };
}

/// Handles to tensors, in order.
#[derive(Debug)]
pub(super) struct TensorList(IValue);

impl<'a> FromIterator<&'a Tensor> for TensorList {
    fn from_iter<T: IntoIterator<Item = &'a Tensor>>(tensors: T) -> Self {
        Self(IValue::TensorList(
            tensors.into_iter().map(Tensor::shallow_clone).collect(),
        ))
    }
}

impl TensorList {
    fn is_empty(&self) -> bool {
        matches!(&self.0, IValue::TensorList(tensors) if tensors.is_empty())
    }
}

/// `key += weight * (query - key)` for pairs of tensors of one length, dtype and device each: `_foreach_lerp_`, which
/// moves a list by few launches on a GPU. Keys are written in place. Nothing to do for no pair, which libtorch refuses.
///
/// # Errors
/// [`KernelError::Libtorch`].
pub(super) fn lerp_list(keys: &TensorList, queries: &TensorList, weight: f64) -> Result<(), KernelError> {
    if [keys, queries].iter().all(|list| list.is_empty()) {
        return Ok(());
    }
    LERP.with(|module| {
        let module = match module.get() {
            Some(module) => module,
            None => {
                let loaded = CModule::load_data(&mut archive()?.as_slice())?;
                module.get_or_init(|| loaded)
            }
        };
        let _no_grad = tch::no_grad_guard();
        module.forward_is(&[&keys.0, &queries.0, &IValue::Double(weight)])?;
        Ok(())
    })
}

fn archive() -> Result<Vec<u8>, KernelError> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let written = ENTRIES.iter().try_for_each(|(name, bytes)| {
        archive.start_file(*name, stored)?;
        Ok(archive.write_all(bytes)?)
    });
    written
        .and_then(|()| archive.finish())
        .map(Cursor::into_inner)
        .map_err(|error: zip::result::ZipError| tch::TchError::from(std::io::Error::other(error)).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_moves_as_its_tensors_do_one_by_one() -> Result<(), KernelError> {
        for weight in [0.001, 0.7] {
            let draw = |len: i64| Tensor::f_randn([len], tch::kind::FLOAT_CPU);
            let keys = [draw(5)?, draw(70_000)?, draw(0)?];
            let queries = [draw(5)?, draw(70_000)?, draw(0)?];
            let expected: Vec<Tensor> = keys
                .iter()
                .zip(&queries)
                .map(|(key, query)| key.lerp(query, weight))
                .collect();
            lerp_list(&keys.iter().collect(), &queries.iter().collect(), weight)?;
            for (key, expected) in keys.iter().zip(&expected) {
                assert_eq!(key, expected);
            }
        }
        Ok(())
    }

    #[test]
    fn lists_that_do_not_fit_are_an_error() -> Result<(), KernelError> {
        let tensor = Tensor::zeros([4], tch::kind::FLOAT_CPU);
        let longer = Tensor::zeros([5], tch::kind::FLOAT_CPU);
        let list = |tensor| TensorList::from_iter([tensor]);
        lerp_list(&list(&tensor), &list(&tensor), 0.5)?;
        assert!(lerp_list(&list(&tensor), &list(&longer), 0.5).is_err());
        let none = TensorList::from_iter([]);
        assert!(lerp_list(&list(&tensor), &none, 0.5).is_err());
        lerp_list(&none, &none, 0.5)?;
        Ok(())
    }
}
