//! The machine and the program as found: what a record needs to be compared with others later.

use std::fs;
use std::io;
use std::sync::OnceLock;

use hitbench_kernels::cuda::{Device, probe};
use hitbench_reports::record::{GpuRecord, MachineRecord, ToolRecord};
use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

/// libtorch of this build, `None` without the feature `torch`. The binding refuses to build against another one.
pub const LIBTORCH: Option<&str> = if cfg!(feature = "torch") {
    Some(hitbench_kernels::cache::LIBTORCH_VERSION)
} else {
    None
};

/// Describes the program.
///
/// The build id is the version and the revision; of a tree with changes, or built outside a checkout, it is the
/// version and a hash of the program's file.
///
/// # Errors
/// When the program's own file must be hashed and cannot be read.
pub fn tool() -> io::Result<ToolRecord> {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let revision = option_env!("HITBENCH_REVISION");
    let dirty = option_env!("HITBENCH_DIRTY") == Some("true");
    let build_id = match revision {
        Some(revision) if !dirty => format!("{version}+{}", short(revision)),
        _ => format!("{version}+exe.{}", short(program_hash()?)),
    };
    Ok(ToolRecord {
        version,
        build_id,
        git_revision: revision.map(str::to_owned),
        dirty,
        libraries: LIBTORCH
            .iter()
            .map(|version| ("libtorch".to_owned(), (*version).to_owned()))
            .collect(),
    })
}

/// Twelve hex digits tell revisions of one project apart.
fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

/// Hash of this program's file, computed once.
fn program_hash() -> io::Result<&'static str> {
    static HASH: OnceLock<String> = OnceLock::new();
    if let Some(hash) = HASH.get() {
        return Ok(hash);
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(fs::File::open(std::env::current_exe()?)?)?;
    Ok(HASH.get_or_init(|| hasher.finalize().to_hex().to_string()))
}

/// Describes the machine.
pub fn machine() -> MachineRecord {
    let system = System::new_with_specifics(
        RefreshKind::nothing()
            .with_cpu(CpuRefreshKind::nothing())
            .with_memory(MemoryRefreshKind::nothing().with_ram()),
    );
    let model = system.cpus().first().map(|cpu| cpu.brand().trim().to_owned());
    MachineRecord {
        os: os(),
        arch: std::env::consts::ARCH.to_owned(),
        cpu_model: model.filter(|model| !model.is_empty()),
        cpu_features: cpu_features(),
        cores: std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64),
        memory_bytes: Some(system.total_memory()).filter(|bytes| *bytes > 0),
        cpu_clock_hz: cpu_clock_hz(),
        cpu_governor: cpu_frequency("scaling_governor"),
        gpus: gpus(),
    }
}

/// Physical cores of the machine, `None` where the system does not tell.
pub fn physical_cores() -> Option<usize> {
    System::physical_core_count()
}

/// Identifies machines whose times may be compared: a hash over all that stays as it is from one boot to the
/// next. Clocks and the versions of kernel and driver are not in it.
pub fn fingerprint(machine: &MachineRecord) -> String {
    let gpus = machine
        .gpus
        .iter()
        .map(|gpu| (&gpu.name, gpu.memory_bytes, &gpu.compute_capability));
    // Of memory only the whole GiB: what firmware and kernel keep for themselves varies a little.
    let memory_gib = machine.memory_bytes.map(|bytes| bytes >> 30);
    let stable = format!(
        "{:?}",
        (
            std::env::consts::OS,
            &machine.arch,
            &machine.cpu_model,
            &machine.cpu_features,
            machine.cores,
            memory_gib,
            gpus.collect::<Vec<_>>(),
        )
    );
    short(&blake3::hash(stable.as_bytes()).to_hex()).to_owned()
}

/// `Debian GNU/Linux 12, kernel 6.1.0`.
fn os() -> String {
    let name = System::long_os_version().unwrap_or_else(|| std::env::consts::OS.to_owned());
    match System::kernel_version() {
        Some(kernel) => format!("{name}, kernel {kernel}"),
        None => name,
    }
}

/// The instruction sets that kernels choose by, those that this CPU has.
fn cpu_features() -> Vec<String> {
    macro_rules! detected {
        ($detect:ident: $($feature:tt)*) => {
            [$(($feature, std::arch::$detect!($feature))),*]
        };
    }
    #[cfg(target_arch = "x86_64")]
    let features = detected!(is_x86_feature_detected:
        "sse4.2" "avx" "avx2" "fma" "f16c" "avx512f" "avx512bw" "avx512dq" "avx512vl" "avx512vnni" "avx512bf16"
        "avx512fp16");
    #[cfg(target_arch = "aarch64")]
    let features = detected!(is_aarch64_feature_detected: "neon" "fp16" "fhm" "dotprod" "bf16" "sve" "sve2");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let features: [(&str, bool); 0] = [];
    features
        .into_iter()
        .filter(|(_, has)| *has)
        .map(|(name, _)| name.to_owned())
        .collect()
}

/// Clock of the first core now: from the frequency driver, else (virtual machines) from `/proc/cpuinfo`.
pub(crate) fn cpu_clock_hz() -> Option<u64> {
    if let Some(kilohertz) = cpu_frequency("scaling_cur_freq").and_then(|text| text.parse::<u64>().ok()) {
        return Some(kilohertz * 1000);
    }
    clock_in_cpuinfo(&fs::read_to_string("/proc/cpuinfo").ok()?)
}

fn clock_in_cpuinfo(cpuinfo: &str) -> Option<u64> {
    let line = cpuinfo.lines().find(|line| line.starts_with("cpu MHz"))?;
    let megahertz: f64 = line.split(':').nth(1)?.trim().parse().ok()?;
    (megahertz.is_finite() && megahertz > 0.0).then_some((megahertz * 1e6) as u64)
}

fn cpu_frequency(file: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/sys/devices/system/cpu/cpu0/cpufreq/{file}")).ok()?;
    Some(text.trim().to_owned())
}

fn gpus() -> Vec<GpuRecord> {
    let Ok(driver) = probe::driver() else {
        return Vec::new();
    };
    let record = |device: &Device| GpuRecord {
        name: device.name.clone(),
        memory_bytes: device.memory_bytes,
        driver: driver.version.clone(),
        compute_capability: device.compute_capability.map(|version| version.to_string()),
        clock_hz: device.clock_hz,
    };
    driver.devices.iter().map(record).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_described() {
        let machine = machine();
        assert!(machine.cores >= 1);
        assert!(
            machine.memory_bytes.is_some_and(|bytes| bytes > 1 << 28),
            "{machine:?}"
        );
        assert!(!machine.os.is_empty());
    }

    #[test]
    fn the_fingerprint_moves_with_the_hardware_and_not_with_clocks_or_updates() {
        let machine = machine();
        let fingerprint = super::fingerprint;
        let mut later = machine.clone();
        later.cpu_clock_hz = Some(1);
        later.cpu_governor = Some("powersave".to_owned());
        later.os = "another kernel".to_owned();
        assert_eq!(fingerprint(&machine), fingerprint(&later));
        let mut other = machine.clone();
        other.cores += 1;
        assert_ne!(fingerprint(&machine), fingerprint(&other));
        let mut other = machine.clone();
        let gpu = |driver: &str| GpuRecord {
            name: "GPU".to_owned(),
            memory_bytes: Some(1),
            driver: Some(driver.to_owned()),
            compute_capability: Some("9.0".to_owned()),
            clock_hz: None,
        };
        other.gpus.push(gpu("1"));
        assert_ne!(fingerprint(&machine), fingerprint(&other));
        let mut updated = machine.clone();
        updated.gpus.push(gpu("2"));
        assert_eq!(fingerprint(&other), fingerprint(&updated));
    }

    #[test]
    fn the_build_id_names_a_revision_only_of_a_clean_tree() {
        let tool = tool().unwrap();
        let id = tool.build_id.strip_prefix("0.1.0+").unwrap();
        match &tool.git_revision {
            Some(revision) if !tool.dirty => assert_eq!(id, &revision[..12]),
            _ => assert!(id.starts_with("exe.") && id.len() == 16, "{id}"),
        }
    }

    #[test]
    fn the_clock_is_read_in_hertz() {
        assert_eq!(
            clock_in_cpuinfo("model name\t: X\ncpu MHz\t\t: 2596.130\n"),
            Some(2_596_130_000)
        );
        assert_eq!(clock_in_cpuinfo("model name\t: X\n"), None);
    }
}
