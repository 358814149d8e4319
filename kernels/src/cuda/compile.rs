//! From the kernels' text to machine code of one architecture: NVRTC, and a cache of what it made on disk.

use std::ffi::{CStr, CString, c_char};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::ptr;

use cudarc::nvrtc::sys::{self, nvrtcProgram, nvrtcResult};
use sha2::{Digest, Sha256};

use super::probe::{self, Unavailable, Version};
use super::source::{HEADERS, Source};
use crate::cache;

/// What NVRTC made of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Compiled {
    /// Machine code, as `cuModuleLoadData` takes it.
    pub(super) cubin: Vec<u8>,
    /// What the compiler and the assembler said, with the resources of each kernel.
    pub(super) log: String,
}

/// Why a file could not be compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// There is no compiler.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The compiler knows no such architecture.
    #[error("NVRTC {nvrtc} does not know {arch}")]
    Arch {
        /// Its version.
        nvrtc: Version,
        /// The architecture, such as `sm_80`.
        arch: String,
    },
    /// It refused the text.
    #[error("NVRTC refused {file}: {log}")]
    Refused {
        /// The file.
        file: &'static str,
        /// What it said.
        log: String,
    },
    /// One of its functions failed.
    #[error("{call} failed: {reason}")]
    Call {
        /// The function.
        call: &'static str,
        /// Its reason.
        reason: String,
    },
}

/// Compiler options beside the architecture. No fast mathematics: flushing small numbers to zero would make scores that
/// differ equal.
const OPTIONS: [&CStr; 3] = [c"--std=c++17", c"-default-device", c"--ptxas-options=-v"];

/// The name that NVRTC has for a device's architecture, with all of its instructions.
pub(super) fn arch_name(capability: Version) -> String {
    // The instructions of these generations that later ones lack have names of their own.
    let suffix = if (9..=10).contains(&capability.major) {
        "a"
    } else {
        ""
    };
    format!("sm_{}{}{suffix}", capability.major, capability.minor)
}

/// Compiles a file for `arch`, or finds it compiled by the same compiler from the same text.
///
/// # Errors
/// Any [`CompileError`]. A cache that cannot be read or written is passed over in silence: it only saves time.
pub(super) fn compiled(source: &Source, arch: &str) -> Result<Compiled, CompileError> {
    let folder = cache::cache_dir().map(|cache| cache.join("cubin"));
    compiled_in(folder.as_deref(), source, arch)
}

fn compiled_in(folder: Option<&Path>, source: &Source, arch: &str) -> Result<Compiled, CompileError> {
    let nvrtc = probe::nvrtc()?.version;
    let place = folder.map(|folder| folder.join(key(source, arch, nvrtc)));
    if let Some(found) = place.as_deref().and_then(read) {
        return Ok(found);
    }
    let compiled = compile(source, arch, nvrtc)?;
    if let Some(place) = place
        && let Err(error) = write(&place, &compiled)
    {
        tracing::debug!("cannot keep {}: {error}", place.display());
    }
    Ok(compiled)
}

/// Name of the file that holds what is made of these inputs: a hash of all of them.
fn key(source: &Source, arch: &str, nvrtc: Version) -> String {
    let mut hasher = Sha256::new();
    let mut add = |part: &[u8]| {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    };
    add(nvrtc.to_string().as_bytes());
    add(arch.as_bytes());
    for option in OPTIONS {
        add(option.to_bytes());
    }
    for source in HEADERS.iter().chain([source]) {
        add(source.name.as_bytes());
        add(source.text.as_bytes());
    }
    let stem = source.name.trim_end_matches(".cu");
    let hash: String = hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{stem}-{arch}-{hash}")
}

/// Reads what [`write`] wrote, if it is whole.
fn read(place: &Path) -> Option<Compiled> {
    let bytes = fs::read(place).ok()?;
    let (hash, rest) = bytes.split_first_chunk::<32>()?;
    if Sha256::digest(rest)[..] != hash[..] {
        return None;
    }
    let (len, rest) = rest.split_first_chunk::<8>()?;
    let (log, cubin) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*len)).ok()?)?;
    Some(Compiled {
        cubin: cubin.to_vec(),
        log: String::from_utf8(log.to_vec()).ok()?,
    })
}

/// Writes a hash of what follows, the length of the log, the log and the machine code, under a temporary name first, so
/// that of several processes one wins and none reads half a file.
fn write(place: &Path, compiled: &Compiled) -> io::Result<()> {
    let mut rest = (compiled.log.len() as u64).to_le_bytes().to_vec();
    rest.extend_from_slice(compiled.log.as_bytes());
    rest.extend_from_slice(&compiled.cubin);
    if let Some(folder) = place.parent() {
        fs::create_dir_all(folder)?;
    }
    let partial = partial_name(place);
    let written = File::create(&partial).and_then(|mut file| {
        file.write_all(&Sha256::digest(&rest))?;
        file.write_all(&rest)?;
        file.sync_all()?;
        fs::rename(&partial, place)
    });
    if written.is_err() {
        let _ = fs::remove_file(&partial);
    }
    written
}

/// A name that no other thread of any process uses.
fn partial_name(place: &Path) -> PathBuf {
    let mut name = place.as_os_str().to_owned();
    name.push(format!(
        ".{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    PathBuf::from(name)
}

/// A program of NVRTC, destroyed with this.
struct Program(nvrtcProgram);

impl Drop for Program {
    fn drop(&mut self) {
        // SAFETY: the program was created by `nvrtcCreateProgram` and is destroyed once.
        let _ = unsafe { sys::nvrtcDestroyProgram(&raw mut self.0) };
    }
}

fn check(call: &'static str, status: nvrtcResult) -> Result<(), CompileError> {
    status.result().map_err(|error| CompileError::Call {
        call,
        reason: format!("{:?}", error.0),
    })
}

fn compile(source: &Source, arch: &str, nvrtc: Version) -> Result<Compiled, CompileError> {
    let text = |text: &str| CString::new(text).expect("the kernels' files hold no zero byte");
    let (name, program_text) = (text(source.name), text(source.text));
    let headers = HEADERS.map(|header| (text(header.name), text(header.text)));
    let header_names = headers.each_ref().map(|(name, _)| name.as_ptr());
    let header_texts = headers.each_ref().map(|(_, text)| text.as_ptr());
    let mut program = ptr::null_mut();
    // SAFETY: `probe::nvrtc` found the library, whose version has this function; all strings end in a zero byte and
    // outlive the call, which copies them; both lists have as many entries as it is told.
    let status = unsafe {
        sys::nvrtcCreateProgram(
            &raw mut program,
            program_text.as_ptr(),
            name.as_ptr(),
            headers.len() as i32,
            header_texts.as_ptr(),
            header_names.as_ptr(),
        )
    };
    check("nvrtcCreateProgram", status)?;
    let program = Program(program);

    let arch_option = text(&format!("--gpu-architecture={arch}"));
    let options: Vec<*const c_char> = OPTIONS
        .iter()
        .map(|option| option.as_ptr())
        .chain([arch_option.as_ptr()])
        .collect();
    // SAFETY: the program exists; the options end in zero bytes and outlive the call.
    let status = unsafe { sys::nvrtcCompileProgram(program.0, options.len() as i32, options.as_ptr()) };
    let log = log(&program)?;
    match status {
        nvrtcResult::NVRTC_SUCCESS => {}
        nvrtcResult::NVRTC_ERROR_INVALID_OPTION => {
            return Err(CompileError::Arch {
                nvrtc,
                arch: arch.to_owned(),
            });
        }
        nvrtcResult::NVRTC_ERROR_COMPILATION => {
            return Err(CompileError::Refused {
                file: source.name,
                log,
            });
        }
        other => check("nvrtcCompileProgram", other)?,
    }
    let mut len = 0;
    // SAFETY: the program is compiled; the length is written to the given place.
    check("nvrtcGetCUBINSize", unsafe {
        sys::nvrtcGetCUBINSize(program.0, &raw mut len)
    })?;
    let mut cubin = vec![0_u8; len];
    // SAFETY: as above; the buffer has the length that was asked for.
    check("nvrtcGetCUBIN", unsafe {
        sys::nvrtcGetCUBIN(program.0, cubin.as_mut_ptr().cast())
    })?;
    Ok(Compiled { cubin, log })
}

fn log(program: &Program) -> Result<String, CompileError> {
    let mut len = 0;
    // SAFETY: the program exists; the length is written to the given place.
    let status = unsafe { sys::nvrtcGetProgramLogSize(program.0, &raw mut len) };
    check("nvrtcGetProgramLogSize", status)?;
    let mut log = vec![0_u8; len];
    // SAFETY: as above; the buffer has the length that was asked for.
    let status = unsafe { sys::nvrtcGetProgramLog(program.0, log.as_mut_ptr().cast()) };
    check("nvrtcGetProgramLog", status)?;
    // One zero byte ends it; there are others between what the compiler and the assembler said.
    log.retain(|byte| *byte != 0);
    Ok(String::from_utf8_lossy(&log).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::cuda::source::{SOURCES, kernel, kernels};
    use crate::id::CudaArch;

    /// What every file must compile for: the oldest, the consumer cards of the generation after, Hopper and Blackwell.
    const ARCHS: [&str; 4] = ["sm_80", "sm_89", "sm_90a", "sm_100a"];

    fn nvrtc() -> Option<Version> {
        probe::nvrtc()
            .map(|nvrtc| nvrtc.version)
            .map_err(|reason| println!("skipped: {reason}"))
            .ok()
    }

    /// Resources of a kernel, from the assembler's report.
    #[derive(Debug, Default, PartialEq)]
    struct Report {
        name: String,
        registers: u32,
        stack_bytes: u32,
        spill_bytes: u32,
        /// Static shared memory: ours is all dynamic.
        shared_bytes: u32,
    }

    /// The number before `unit`.
    fn before(line: &str, unit: &str) -> u32 {
        let number = line.split(unit).next().filter(|start| *start != line);
        let number = number.and_then(|start| start.trim_end().rsplit([' ', ':', ',']).next());
        number.map_or(0, |number| number.parse().unwrap())
    }

    fn reports(log: &str) -> Vec<Report> {
        let mut reports: Vec<Report> = Vec::new();
        for line in log.lines() {
            if let Some((_, rest)) = line.split_once("Compiling entry function '") {
                reports.push(Report {
                    name: rest.split('\'').next().unwrap().to_owned(),
                    ..Report::default()
                });
            } else if let Some(report) = reports.last_mut() {
                report.stack_bytes += before(line, " bytes stack frame");
                report.spill_bytes +=
                    before(line, " bytes spill stores") + before(line, " bytes spill loads");
                report.registers += before(line, " registers");
                report.shared_bytes += before(line, " bytes smem");
            }
        }
        reports
    }

    #[test]
    fn reports_are_read() {
        let log = "\
ptxas info    : Compiling entry function 'f' for 'sm_80'
ptxas         .     24 bytes stack frame, 60 bytes spill stores, 40 bytes spill loads
ptxas info    : Used 128 registers, used 1 barriers, 24 bytes cumulative stack size, 512 bytes smem, 416 bytes cmem[0]";
        let expected = Report {
            name: "f".to_owned(),
            registers: 128,
            stack_bytes: 24,
            spill_bytes: 100,
            shared_bytes: 512,
        };
        assert_eq!(reports(log), [expected]);
    }

    fn runs_on(source: &Source, arch: &str) -> bool {
        match source.arch() {
            CudaArch::Sm80 => true,
            CudaArch::Sm90a => arch == "sm_90a",
        }
    }

    fn of_arch(arch: &str) -> impl Iterator<Item = &'static Source> {
        SOURCES.iter().filter(move |source| runs_on(source, arch))
    }

    #[test]
    fn every_kernel_compiles_for_every_architecture_that_it_is_for_within_its_limits() {
        let Some(nvrtc) = nvrtc() else { return };
        for arch in ARCHS {
            let mut names = Vec::new();
            for source in of_arch(arch) {
                let Compiled { cubin, log } = compile(source, arch, nvrtc).unwrap();
                assert!(cubin.starts_with(b"\x7fELF"));
                // Serialised tensor core instructions, ignored register limits and the like, which are no errors.
                assert!(!log.contains("(C75") && !log.contains("warning"), "{log}");
                for report in reports(&log) {
                    let limit = kernel(&report.name).registers;
                    assert!(
                        (16..=limit).contains(&report.registers),
                        "{arch}, limit {limit}: {report:?}"
                    );
                    assert_eq!(
                        (report.stack_bytes, report.spill_bytes, report.shared_bytes),
                        (0, 0, 0),
                        "{arch}: {report:?}"
                    );
                    names.push(report.name);
                }
            }
            let n_kernels = kernels()
                .iter()
                .filter(|kernel| runs_on(&SOURCES[kernel.source], arch))
                .count();
            assert_eq!(names.len(), n_kernels, "{arch}: {names:?}");
        }
    }

    /// How often instructions occur in each kernel of the files for `of`, compiled for `arch`; `None` without a compiler or a
    /// disassembler, with the reason told.
    fn instructions(of: CudaArch, arch: &str, counted: &[(&str, &[&str])]) -> Option<String> {
        let nvrtc = nvrtc()?;
        let disassembler = cache::cache_dir().map(|cache| cache::nvrtc_dir(&cache).join("bin/nvdisasm"));
        let Some(disassembler) = disassembler.filter(|path| path.exists()) else {
            println!("skipped: no nvdisasm in the cache");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let mut found = String::new();
        for source in SOURCES.iter().filter(|source| source.arch() == of) {
            let path = folder.path().join("cubin");
            fs::write(&path, compile(source, arch, nvrtc).unwrap().cubin).unwrap();
            let run = Command::new(&disassembler).arg("-c").arg(&path).output().unwrap();
            assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
            let text = String::from_utf8(run.stdout).unwrap();
            let mut parts: Vec<&str> = text.split(".section\t.text.").skip(1).collect();
            parts.sort_unstable();
            for part in parts {
                let name = part.split(',').next().unwrap();
                let n_instructions = part.lines().filter(|line| line.trim_end().ends_with(';')).count();
                assert!(
                    (16..=MOST_INSTRUCTIONS).contains(&n_instructions),
                    "{name} has {n_instructions} instructions"
                );
                let counts = counted.iter().map(|(what, instructions)| {
                    let n: usize = instructions
                        .iter()
                        .map(|instruction| part.matches(instruction).count())
                        .sum();
                    format!("{n} {what}")
                });
                found += &format!("{name}: {}\n", counts.collect::<Vec<_>>().join(", "));
            }
        }
        Some(found)
    }

    /// 128 KiB of code, of 16 bytes an instruction: what is longer does not fit a multiprocessor's caches of instructions.
    const MOST_INSTRUCTIONS: usize = 8192;

    /// Accesses to local memory, of which there must be none.
    const LOCAL: (&str, &[&str]) = ("local", &["LDL", "STL"]);

    /// Tensor core products, loads of their factors, asynchronous copies, loads of 16 bytes. A change here, as in the next
    /// test, is a change of the code that runs: look at it, then at its time.
    #[test]
    fn the_instructions_that_matter_are_there() {
        let counted: [(&str, &[&str]); 5] = [
            ("products", &["HMMA.16816.F32 "]),
            ("factors", &["LDSM."]),
            ("copies", &["LDGSTS."]),
            ("wide loads", &["LDG.E.128 ", "LDG.E.EF.128 "]),
            LOCAL,
        ];
        let Some(found) = instructions(CudaArch::Sm80, "sm_80", &counted) else {
            return;
        };
        assert_eq!(found, include_str!("../../tests/golden/sm_80.txt"));
    }

    /// Products by warpgroups, of 256 columns and of 64, and boxes that the copy engine brings.
    #[test]
    fn the_instructions_of_hopper_are_there() {
        let counted: [(&str, &[&str]); 4] = [
            ("wide products", &["HGMMA.64x256x16.F32 "]),
            ("narrow products", &["HGMMA.64x64x16.F32 "]),
            ("boxes", &["UTMALDG.2D "]),
            LOCAL,
        ];
        let Some(found) = instructions(CudaArch::Sm90a, "sm_90a", &counted) else {
            return;
        };
        assert_eq!(found, include_str!("../../tests/golden/sm_90a.txt"));
    }

    #[test]
    fn what_was_compiled_is_found_again_and_what_is_damaged_is_made_again() {
        let Some(nvrtc) = nvrtc() else { return };
        let folder = tempfile::tempdir().unwrap();
        let (source, arch) = (&SOURCES[0], "sm_80");
        let first = compiled_in(Some(folder.path()), source, arch).unwrap();
        let place = folder.path().join(key(source, arch, nvrtc));
        assert_eq!(read(&place), Some(first.clone()));
        // Found, not made: what is in the file is what is returned.
        let other = Compiled {
            cubin: vec![1, 2, 3],
            log: "log".to_owned(),
        };
        write(&place, &other).unwrap();
        assert_eq!(compiled_in(Some(folder.path()), source, arch).unwrap(), other);
        let whole = fs::read(&place).unwrap();
        for len in [0, 31, 40, whole.len() - 1] {
            fs::write(&place, &whole[..len]).unwrap();
            // The log tells how long it took, and the code is the same.
            let again = compiled_in(Some(folder.path()), source, arch).unwrap();
            assert!(again.cubin == first.cubin, "{len}");
        }
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            1,
            "no temporary file is left"
        );
    }

    #[test]
    fn keys_differ_where_inputs_do() {
        let nvrtc = Version { major: 13, minor: 0 };
        let newer = Version { major: 13, minor: 1 };
        let base = key(&SOURCES[0], "sm_80", nvrtc);
        for other in [
            key(&SOURCES[1], "sm_80", nvrtc),
            key(&SOURCES[0], "sm_89", nvrtc),
            key(&SOURCES[0], "sm_80", newer),
        ] {
            assert_ne!(base, other);
        }
        assert!(base.starts_with("momentum_queue-sm_80-"));
    }

    #[test]
    fn what_the_compiler_does_not_like_is_an_error_that_says_so() {
        let Some(nvrtc) = nvrtc() else { return };
        let wrong = Source {
            name: "wrong.cu",
            text: "extern \"C\" __global__ void f(int x) { y = x; }",
        };
        let error = compile(&wrong, "sm_80", nvrtc).unwrap_err().to_string();
        assert!(
            error.starts_with("NVRTC refused wrong.cu: ") && error.contains("\"y\" is undefined"),
            "{error}"
        );
        let error = compile(&SOURCES[0], "sm_12", nvrtc).unwrap_err().to_string();
        assert_eq!(error, format!("NVRTC {nvrtc} does not know sm_12"));
    }

    #[test]
    fn architectures_are_named_with_all_of_their_instructions() {
        for (major, minor, name) in [
            (8, 0, "sm_80"),
            (8, 9, "sm_89"),
            (9, 0, "sm_90a"),
            (10, 0, "sm_100a"),
            (12, 0, "sm_120"),
        ] {
            assert_eq!(arch_name(Version { major, minor }), name);
        }
    }
}
