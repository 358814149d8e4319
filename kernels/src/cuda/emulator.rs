//! The kernels on the CPU, for tests: their own text, compiled by the C++ compiler against the words of
//! `kernels/tests/emulator/ptx.cuh`, which has the threads of a block take turns.
//!
//! Memory begins as NaN and ends at a page that nobody may touch; what lies before it is checked when it is given back.
//! Slow: some million scores a second.

use std::collections::HashMap;
use std::ffi::c_void;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use libloading::Library;
use sha2::{Digest, Sha256};

use super::gpu::{Argument, Fill, Gpu, Mark};
use super::source::{HEADERS, Kernel, SOURCES, kernels};
use crate::KernelError;
use crate::id::CudaArch;

/// What takes the place of the headers of the same names.
const REPLACED: [(&str, &str); 2] = [
    ("ptx.cuh", include_str!("../../tests/emulator/ptx.cuh")),
    ("hopper.cuh", include_str!("../../tests/emulator/hopper.cuh")),
];
/// Fills unused memory.
const GUARD: u8 = 0xa5;
/// Fills new memory: a NaN in every floating-point type.
const POISON: u8 = 0xff;

/// A CPU that takes itself for a GPU.
#[derive(Debug)]
pub(super) struct Emulator {
    arch: CudaArch,
    n_processors: u32,
    part_bytes: usize,
    /// Decides which thread goes on.
    seed: AtomicU64,
    /// Start and length of the pages of each allocation, by its address.
    allocations: Mutex<HashMap<u64, Pages>>,
    /// What was done so far that other work may have to wait for.
    count: AtomicU64,
}

#[derive(Debug, Clone, Copy)]
struct Pages {
    start: u64,
    len: usize,
    bytes: usize,
    /// The count when they were used last.
    last_use: u64,
}

impl Emulator {
    /// A device with the kernels `arch`. Work is cut as for one with `n_processors` multiprocessors, and rows as for one
    /// that takes `part_bytes` of a side at a time.
    ///
    /// # Errors
    /// Why kernels cannot be compiled for this machine.
    pub(super) fn gpu(
        arch: CudaArch,
        n_processors: u32,
        part_bytes: usize,
        seed: u64,
    ) -> Result<Arc<dyn Gpu>, String> {
        libraries()?;
        Ok(Arc::new(Self {
            arch,
            n_processors,
            part_bytes,
            seed: AtomicU64::new(seed),
            allocations: Mutex::default(),
            count: AtomicU64::new(0),
        }))
    }

    /// Gives the allocation that an address lies in to `take`, if there is one.
    fn with_pages<R>(&self, address: u64, take: impl FnOnce(&mut Pages) -> R) -> Option<R> {
        let mut allocations = self.allocations.lock().unwrap_or_else(PoisonError::into_inner);
        let pages = allocations
            .values_mut()
            .find(|pages| (pages.start..pages.start + pages.len as u64).contains(&address));
        pages.map(take)
    }

    /// Counts work on the allocation that an address lies in.
    fn touch(&self, address: u64) {
        let count = self.count.fetch_add(1, Relaxed) + 1;
        self.with_pages(address, |pages| pages.last_use = count);
    }
}

/// The compiled files. A kernel's state is its library's, so that one runs at a time.
fn libraries() -> Result<&'static Mutex<Vec<Library>>, String> {
    static LIBRARIES: OnceLock<Result<Mutex<Vec<Library>>, String>> = OnceLock::new();
    LIBRARIES
        .get_or_init(|| build().map(Mutex::new))
        .as_ref()
        .map_err(Clone::clone)
}

fn build() -> Result<Vec<Library>, String> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err("the emulator is written for Linux on x86-64".to_owned());
    }
    let mut hasher = Sha256::new();
    let replaced = REPLACED.iter().map(|(_, text)| *text);
    for text in replaced.chain(HEADERS.iter().chain(&SOURCES).map(|source| source.text)) {
        hasher.update(text.as_bytes());
    }
    for source in &SOURCES {
        hasher.update(launchers(source.name).as_bytes());
    }

    // Beside the test itself, in the build folder.
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let hash: String = hasher.finalize()[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let name = format!("emulator-{hash}");
    let folder = program.parent().ok_or("the test has no folder")?.join(name);
    let text_of_headers = HEADERS.iter().map(|header| {
        let replaced = REPLACED.iter().find(|(name, _)| *name == header.name);
        (header.name, replaced.map_or(header.text, |(_, text)| *text))
    });
    if !folder.exists() {
        // Several tests may build at once: each in a folder of its own, and the first one to end wins.
        let own = tempfile::tempdir_in(program.parent().ok_or("the test has no folder")?)
            .map_err(|e| e.to_string())?;
        for (name, text) in text_of_headers {
            fs::write(own.path().join(name), text).map_err(|error| error.to_string())?;
        }
        for source in &SOURCES {
            let text = format!("{}\n{}", source.text, launchers(source.name));
            let file = own.path().join(source.name);
            fs::write(&file, text).map_err(|error| error.to_string())?;
            compile(&file)?;
        }
        let _ = fs::rename(own.keep(), &folder);
    }
    SOURCES
        .iter()
        .map(|source| {
            let path = library(&folder.join(source.name));
            // SAFETY: the library is the one that was just built; it has no initialisers but those of empty vectors.
            unsafe { Library::new(&path) }.map_err(|error| error.to_string())
        })
        .collect()
}

fn library(source: &Path) -> PathBuf {
    source.with_extension("so")
}

/// One function a kernel, which takes its arguments as a launch does.
fn launchers(file: &str) -> String {
    let of_file = kernels()
        .iter()
        .filter(|kernel| SOURCES[kernel.source].name == file);
    of_file
        .map(|kernel| {
            format!(
                "extern \"C\" __attribute__((visibility(\"default\"))) void emulate_{0}(const u32* grid, u32 threads, \
                 u32 shared_bytes, u64 seed, void** arguments) {{ emulator::launch({0}, grid, threads, shared_bytes, \
                 seed, arguments); }}\n",
                kernel.name
            )
        })
        .collect()
}

fn compile(source: &Path) -> Result<(), String> {
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    let run = Command::new(&compiler)
        .args([
            "-std=c++17",
            "-O2",
            "-fPIC",
            "-shared",
            "-fvisibility=hidden",
            "-fno-gnu-unique",
        ])
        .args(["-Wall", "-Werror", "-Wno-unknown-pragmas", "-x", "c++"])
        .arg(source)
        .arg("-o")
        .arg(library(source))
        .output()
        .map_err(|error| format!("{compiler}: {error}"))?;
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    Ok(())
}

/// A launcher.
type Launcher = unsafe extern "C" fn(*const u32, u32, u32, u64, *mut *mut c_void);

impl Gpu for Emulator {
    fn arch(&self) -> CudaArch {
        self.arch
    }

    fn n_processors(&self) -> u32 {
        self.n_processors
    }

    fn part_bytes(&self) -> usize {
        self.part_bytes
    }

    fn allocate(&self, bytes: usize) -> Result<u64, KernelError> {
        const PAGE: usize = 4096;
        let used = bytes.next_multiple_of(16);
        let len = used.next_multiple_of(PAGE) + PAGE;
        // SAFETY: a new private map at a place of the system's choice, nothing else.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert_ne!(start, libc::MAP_FAILED);
        let end = start as usize + len - PAGE;
        // SAFETY: the last page of the new map; the bytes before it are all in the map.
        unsafe {
            assert_eq!(libc::mprotect(end as *mut c_void, PAGE, libc::PROT_NONE), 0);
            std::ptr::write_bytes(start.cast::<u8>(), GUARD, len - PAGE);
            std::ptr::write_bytes((end - used) as *mut u8, POISON, bytes);
        }
        let pages = Pages {
            start: start as u64,
            len,
            bytes,
            last_use: self.count.fetch_add(1, Relaxed) + 1,
        };
        let address = (end - used) as u64;
        self.allocations.lock().unwrap().insert(address, pages);
        Ok(address)
    }

    unsafe fn free(&self, address: u64) {
        let mut allocations = self.allocations.lock().unwrap_or_else(PoisonError::into_inner);
        let pages = allocations.remove(&address).unwrap();
        let end = address as usize + pages.bytes.next_multiple_of(16);
        let slack = [
            pages.start as usize..address as usize,
            address as usize + pages.bytes..end,
        ];
        for range in slack {
            // SAFETY: all of it lies in the pages of this allocation.
            let bytes = unsafe { std::slice::from_raw_parts(range.start as *const u8, range.len()) };
            assert!(
                std::thread::panicking() || bytes.iter().all(|byte| *byte == GUARD),
                "written out of bounds"
            );
        }
        // SAFETY: the map was made by `allocate`, and nobody uses it any more (the caller's promise).
        unsafe { libc::munmap(pages.start as *mut c_void, pages.len) };
    }

    unsafe fn fill(&self, address: u64, byte: u8, bytes: usize) -> Result<(), KernelError> {
        self.touch(address);
        // SAFETY: the caller's promise: addresses are those of this process.
        unsafe { std::ptr::write_bytes(address as *mut u8, byte, bytes) };
        Ok(())
    }

    unsafe fn write(&self, address: u64, bytes: &[u8]) -> Result<(), KernelError> {
        self.touch(address);
        // SAFETY: as for `fill`; the slice is not part of an allocation of this device.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), address as *mut u8, bytes.len()) };
        Ok(())
    }

    fn mark(&self) -> Result<Mark, KernelError> {
        Ok(Mark::Count(self.count.load(Relaxed)))
    }

    unsafe fn upload(
        &self,
        address: u64,
        bytes: usize,
        unit: usize,
        after: &Mark,
        fill: Fill<'_>,
    ) -> Result<(), KernelError> {
        let Mark::Count(after) = after else {
            panic!("a mark of a real device");
        };
        let last_use = self.with_pages(address, |pages| pages.last_use).unwrap();
        assert!(last_use <= *after, "copied over memory that may still be in use");
        // Few units, so that there are several pieces.
        let at_once = (self.part_bytes / 16 / unit).max(1) * unit;
        for at in (0..bytes).step_by(at_once) {
            // Numbers of 16 bytes, for their alignment.
            let mut piece = vec![u128::from_ne_bytes([GUARD; 16]); at_once.min(bytes - at).div_ceil(16)];
            let piece = &mut bytemuck::cast_slice_mut(&mut piece)[..at_once.min(bytes - at)];
            fill(at, piece);
            // SAFETY: as for `write`.
            unsafe {
                std::ptr::copy_nonoverlapping(
                    piece.as_ptr(),
                    (address as usize + at) as *mut u8,
                    piece.len(),
                );
            }
        }
        self.touch(address);
        Ok(())
    }

    unsafe fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), KernelError> {
        // SAFETY: as for `write`.
        unsafe { std::ptr::copy_nonoverlapping(address as *const u8, bytes.as_mut_ptr(), bytes.len()) };
        Ok(())
    }

    unsafe fn launch(
        &self,
        kernel: &'static Kernel,
        grid: [u32; 3],
        arguments: &[Argument],
    ) -> Result<(), KernelError> {
        for argument in arguments {
            match argument {
                Argument::Pointer(address) => self.touch(*address),
                Argument::Tensor(tensor) => self.touch(tensor.address),
                Argument::U32(_) | Argument::F32(_) | Argument::F64(_) => {}
            }
        }
        // Each in the first bytes of its place; a tensor takes all four.
        let mut values: Vec<[u64; 4]> = arguments
            .iter()
            .map(|argument| match argument {
                Argument::Pointer(address) => [*address, 0, 0, 0],
                Argument::U32(number) => [u64::from(*number), 0, 0, 0],
                Argument::F32(number) => [u64::from(number.to_bits()), 0, 0, 0],
                Argument::F64(number) => [number.to_bits(), 0, 0, 0],
                Argument::Tensor(tensor) => [
                    tensor.address,
                    tensor.n_rows as u64,
                    tensor.stride as u64,
                    tensor.box_rows as u64,
                ],
            })
            .collect();
        let mut pointers: Vec<*mut c_void> =
            values.iter_mut().map(|value| value.as_mut_ptr().cast()).collect();
        let libraries = libraries()
            .unwrap()
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let seed = self.seed.fetch_add(1, Relaxed);
        // SAFETY: `launchers` defines a function of this type for every kernel.
        let launcher = unsafe {
            libraries[kernel.source]
                .get::<Launcher>(format!("emulate_{}\0", kernel.name).as_bytes())
                .unwrap()
        };
        // SAFETY: there are as many arguments of the same kinds as the kernel has parameters (the caller's promise), each
        // in the low bytes of its value; the kernel's memory is the caller's promise too.
        unsafe {
            launcher(
                grid.as_ptr(),
                kernel.threads,
                kernel.shared_bytes,
                seed,
                pointers.as_mut_ptr(),
            );
        }
        Ok(())
    }
}
