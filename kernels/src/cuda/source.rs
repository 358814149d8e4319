//! The text of the CUDA kernels, as it is in the program, and what each kernel says of itself: its parameters, and the
//! resources of its block, from the `@kernel` lines at the head of its file.

use std::sync::LazyLock;

#[cfg(test)]
use crate::id::CudaArch;

/// A file of kernels.
#[derive(Debug)]
pub(super) struct Source {
    /// File name in `kernels/cu`.
    pub(super) name: &'static str,
    pub(super) text: &'static str,
}

#[cfg(test)]
impl Source {
    /// The devices that it is for: `_sm90a` at the end of a name are instructions that only Hopper has.
    pub(super) fn arch(&self) -> CudaArch {
        if self.name.ends_with("_sm90a.cu") {
            CudaArch::Sm90a
        } else {
            CudaArch::Sm80
        }
    }
}

/// A file of `kernels/cu`, as it is when the program is built.
macro_rules! source {
    ($name:literal) => {
        Source {
            name: $name,
            text: include_str!(concat!("../../cu/", $name)),
        }
    };
}

/// Files that others include.
pub(super) const HEADERS: [Source; 6] = [
    source!("ptx.cuh"),
    source!("scores.cuh"),
    source!("tile.cuh"),
    source!("info_nce.cuh"),
    source!("hopper.cuh"),
    source!("wide_tile.cuh"),
];

/// Files of kernels.
pub(super) const SOURCES: [Source; 5] = [
    source!("momentum_queue.cu"),
    source!("similarity.cu"),
    source!("info_nce.cu"),
    source!("similarity_sm90a.cu"),
    source!("info_nce_sm90a.cu"),
];

/// What a parameter of a kernel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parameter {
    /// A device address.
    Pointer,
    /// 32 bits without sign.
    U32,
    /// IEEE binary32.
    F32,
    /// IEEE binary64.
    F64,
    /// Rows, by way of a tensor map.
    Tensor,
}

/// A kernel, as its file declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kernel {
    pub(super) name: &'static str,
    /// File that defines it, a place in [`SOURCES`].
    pub(super) source: usize,
    /// Threads of a block.
    pub(super) threads: u32,
    /// Most registers that a thread may take.
    pub(super) registers: u32,
    /// Dynamic shared memory of a block.
    pub(super) shared_bytes: u32,
    pub(super) parameters: Vec<Parameter>,
}

/// Every kernel of [`SOURCES`].
pub(super) fn kernels() -> &'static [Kernel] {
    static KERNELS: LazyLock<Vec<Kernel>> = LazyLock::new(|| {
        let sources = SOURCES.iter().enumerate();
        sources
            .flat_map(|(at, source)| declared(at, source.text))
            .map(|kernel| {
                kernel.expect("the declarations are part of the program, and a test reads them all")
            })
            .collect()
    });
    &KERNELS
}

/// The kernel of this name.
pub(super) fn kernel(name: &str) -> &'static Kernel {
    let found = kernels().iter().find(|kernel| kernel.name == name);
    found.expect("launches name kernels that are declared")
}

/// The kernels that the `@kernel` lines of a file declare, or what is wrong with one.
fn declared(source: usize, text: &'static str) -> impl Iterator<Item = Result<Kernel, String>> {
    text.lines()
        .filter_map(|line| line.strip_prefix("// @kernel "))
        .map(move |line| {
            let (name, limits) = line.split_once(' ').ok_or(format!("`{line}` has no limits"))?;
            let limit = |key: &str| {
                let found = limits
                    .split(' ')
                    .find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
                found
                    .and_then(|number| number.parse().ok())
                    .ok_or(format!("`{line}` has no `{key}`"))
            };
            Ok(Kernel {
                name,
                source,
                threads: limit("threads")?,
                registers: limit("registers")?,
                shared_bytes: limit("shared")?,
                parameters: parameters(name, text)?,
            })
        })
}

/// The parameters of the kernel's definition.
fn parameters(name: &str, text: &str) -> Result<Vec<Parameter>, String> {
    let opening = format!(" {name}(");
    let start = text.find(&opening).ok_or(format!("{name} is not defined"))? + opening.len();
    let end = text[start..].find(')').ok_or(format!("{name} has no `)`"))?;
    let list = text[start..start + end].split(',');
    list.map(|parameter| {
        let words: Vec<&str> = parameter.split_whitespace().collect();
        match words[..] {
            [.., kind, _] if kind.ends_with('*') => Ok(Parameter::Pointer),
            ["u32", _] => Ok(Parameter::U32),
            ["float", _] => Ok(Parameter::F32),
            ["double", _] => Ok(Parameter::F64),
            ["const", "__grid_constant__", "TensorMap", _] => Ok(Parameter::Tensor),
            _ => Err(format!("{name} has the parameter `{}`", words.join(" "))),
        }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_global_function_is_declared_once_with_its_block() {
        for (at, source) in SOURCES.iter().enumerate() {
            let declared: Vec<Kernel> = declared(at, source.text).collect::<Result<_, _>>().unwrap();
            let n_defined = source.text.matches("extern \"C\" __global__ void").count();
            assert_eq!(declared.len(), n_defined, "{}", source.name);
            for kernel in declared {
                // The bounds are those of the definition, which is the first text after them.
                let definition = source.text.find(&format!(" {}(", kernel.name)).unwrap();
                let bounds = source.text[..definition].rfind("__launch_bounds__(").unwrap();
                let bounds = &source.text[bounds..definition];
                assert!(
                    bounds.starts_with(&format!("__launch_bounds__({}", kernel.threads)),
                    "{}: {bounds}",
                    kernel.name
                );
                let most_shared = match source.arch() {
                    CudaArch::Sm80 => 101_376,
                    CudaArch::Sm90a => 232_448,
                };
                assert!(kernel.registers * kernel.threads <= 1 << 16 && kernel.shared_bytes <= most_shared);
            }
        }
        assert!(kernels().len() > 10);
    }

    #[test]
    fn parameters_are_read_from_the_definition() {
        use Parameter::{F32, Pointer, Tensor, U32};
        assert_eq!(kernel("ema_update_f32_v1").parameters, [Pointer, U32, U32, F32]);
        let enqueue = [Pointer, Pointer, Pointer, Pointer, U32, U32, U32, U32];
        assert_eq!(kernel("enqueue_f16_v1").parameters, enqueue);
        let scores = [Tensor, U32, Tensor, U32, U32, U32, Pointer];
        assert_eq!(kernel("scores_sm90a_v1").parameters, scores);
        assert_eq!(
            declared(0, "// @kernel f threads=1 registers=1\nvoid f(u32 n)").next(),
            Some(Err("`f threads=1 registers=1` has no `shared`".to_owned()))
        );
        let strange = parameters("f", "void f(const float* x, usize n)");
        assert_eq!(strange, Err("f has the parameter `usize n`".to_owned()));
    }
}
