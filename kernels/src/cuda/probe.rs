//! What CUDA offers here: the driver, its devices, and the run-time compiler NVRTC. Asks, and never panics.
//!
//! `cudarc` loads both libraries at run time and panics where a library or a symbol is missing. Each function
//! here therefore first makes sure that the library is there, then that it is new enough, and only then calls it.

use std::ffi::c_int;
use std::fmt;
use std::path::PathBuf;
use std::sync::OnceLock;

use cudarc::driver::{result, sys};
use cudarc::nvrtc;
use nvml_wrapper::Nvml;
use nvml_wrapper::enum_wrappers::device::Clock;

use super::monitor;
use crate::cache;
use crate::map::{LoadError, loaded_library, open_global};

/// Oldest CUDA that the bindings are made for (`cuda-13000`), as the driver states versions: 1000 * major + 10 * minor.
const MIN_CUDA: c_int = 13_000;

/// Symbols of the driver that [`driver`] calls.
const DRIVER_SYMBOLS: [&str; 7] = [
    "cuInit",
    "cuDriverGetVersion",
    "cuDeviceGetCount",
    "cuDeviceGet",
    "cuDeviceGetName",
    "cuDeviceTotalMem_v2",
    "cuDeviceGetAttribute",
];

/// A CUDA driver that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Driver {
    /// Newest CUDA that it supports.
    pub cuda: Version,
    /// Its own version, such as `580.95.05`; `None` where the management library is missing.
    pub version: Option<String>,
    /// Visible devices, in the driver's order; at least one.
    pub devices: Vec<Device>,
}

/// One visible device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Product name.
    pub name: String,
    /// Device memory.
    pub memory_bytes: Option<u64>,
    /// Compute capability, such as 9.0.
    pub compute_capability: Option<Version>,
    /// Clock of the multiprocessors as found, in Hz.
    pub clock_hz: Option<u64>,
    /// Place on the bus, by which the management library knows it too: it numbers devices in an order of its own.
    pub bus_id: Option<String>,
}

/// A run-time compiler that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nvrtc {
    /// Its version.
    pub version: Version,
    /// The file it was loaded from, where the system tells.
    pub path: Option<PathBuf>,
}

/// Major and minor number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

impl Version {
    fn from_cuda(number: c_int) -> Self {
        let number = number.unsigned_abs();
        Self {
            major: number / 1000,
            minor: number % 1000 / 10,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Why something of CUDA cannot be used here. Prints as `libcuda not found` or `driver 12.4, needs 13.0`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// No such library on this machine.
    #[error("{library} not found")]
    NotFound {
        /// The library, without suffix.
        library: &'static str,
    },
    /// The library is no whole driver or compiler.
    #[error("{library} has no symbol `{symbol}`")]
    Symbol {
        /// The library, without suffix.
        library: &'static str,
        /// What it lacks.
        symbol: &'static str,
    },
    /// The library is there and too old.
    #[error("{what} {found}, needs {needed}")]
    TooOld {
        /// `driver` or `NVRTC`.
        what: &'static str,
        /// Its version.
        found: Version,
        /// The oldest that would do.
        needed: Version,
    },
    /// A call failed.
    #[error("{call} failed: {reason}")]
    Call {
        /// The function.
        call: &'static str,
        /// The library's reason.
        reason: String,
    },
    /// The driver works and sees no device.
    #[error("the driver sees no device")]
    NoDevice,
    /// The library is there and does not load.
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// The driver and its devices; found once, then remembered.
///
/// # Errors
/// [`Unavailable`], the reason in a few words.
pub fn driver() -> Result<&'static Driver, Unavailable> {
    static DRIVER: OnceLock<Result<Driver, Unavailable>> = OnceLock::new();
    DRIVER.get_or_init(find_driver).as_ref().map_err(Clone::clone)
}

/// The run-time compiler: that of the set-up if it is there, else the system's; found once, then remembered.
///
/// # Errors
/// [`Unavailable`], the reason in a few words.
pub fn nvrtc() -> Result<&'static Nvrtc, Unavailable> {
    static NVRTC: OnceLock<Result<Nvrtc, Unavailable>> = OnceLock::new();
    NVRTC.get_or_init(find_nvrtc).as_ref().map_err(Clone::clone)
}

fn find_driver() -> Result<Driver, Unavailable> {
    // SAFETY: loads the driver's library, whose initialisers may run on any thread at any time.
    if !unsafe { sys::is_culib_present() } {
        return Err(Unavailable::NotFound { library: "libcuda" });
    }
    // SAFETY: the library is present, as was just seen; a panic is all that its absence would cause.
    let library = unsafe { sys::culib() };
    for symbol in DRIVER_SYMBOLS {
        // SAFETY: the address is only compared with "absent", never called through this type.
        if unsafe { library.get::<*const ()>(symbol) }.is_err() {
            return Err(Unavailable::Symbol {
                library: "libcuda",
                symbol,
            });
        }
    }

    let mut number: c_int = 0;
    // SAFETY: the symbol exists, needs no initialised driver, and writes one `int` to the given place.
    let status = unsafe { sys::cuDriverGetVersion(&raw mut number) };
    status.result().map_err(failed("cuDriverGetVersion"))?;
    if number < MIN_CUDA {
        let (found, needed) = (Version::from_cuda(number), Version::from_cuda(MIN_CUDA));
        return Err(Unavailable::TooOld {
            what: "driver",
            found,
            needed,
        });
    }

    result::init().map_err(failed("cuInit"))?;
    let count = result::device::get_count().map_err(failed("cuDeviceGetCount"))?;
    let nvml = Nvml::init().ok();
    let devices: Vec<Device> = (0..count)
        .map(|ordinal| device(ordinal, nvml.as_ref()))
        .collect::<Result<_, _>>()?;
    if devices.is_empty() {
        return Err(Unavailable::NoDevice);
    }
    let version = nvml.and_then(|nvml| nvml.sys_driver_version().ok());
    Ok(Driver {
        cuda: Version::from_cuda(number),
        version,
        devices,
    })
}

fn device(ordinal: c_int, nvml: Option<&Nvml>) -> Result<Device, Unavailable> {
    use sys::CUdevice_attribute_enum as Attribute;

    let device = result::device::get(ordinal).map_err(failed("cuDeviceGet"))?;
    let name = result::device::get_name(device).map_err(failed("cuDeviceGetName"))?;
    // SAFETY: `device` came from `cuDeviceGet`.
    let memory = unsafe { result::device::total_mem(device) };
    let attribute = |which| {
        // SAFETY: as above.
        let value = unsafe { result::device::get_attribute(device, which) };
        value.ok().and_then(|value| u32::try_from(value).ok())
    };
    let bus_id = bus_id([
        attribute(Attribute::CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID),
        attribute(Attribute::CU_DEVICE_ATTRIBUTE_PCI_BUS_ID),
        attribute(Attribute::CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID),
    ]);
    let monitored = nvml
        .zip(bus_id.as_deref())
        .and_then(|(nvml, id)| nvml.device_by_pci_bus_id(id).ok());
    let major = attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
    let minor = attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
    Ok(Device {
        name,
        memory_bytes: memory.ok().and_then(|bytes| u64::try_from(bytes).ok()),
        compute_capability: major.zip(minor).map(|(major, minor)| Version { major, minor }),
        clock_hz: monitored.and_then(|device| monitor::clock_hz(&device, Clock::SM)),
        bus_id,
    })
}

/// Domain, bus and device as the management library writes them.
fn bus_id(pci: [Option<u32>; 3]) -> Option<String> {
    let [Some(domain), Some(bus), Some(device)] = pci else {
        return None;
    };
    Some(format!("{domain:08x}:{bus:02x}:{device:02x}.0"))
}

fn failed(call: &'static str) -> impl Fn(result::DriverError) -> Unavailable {
    move |error| Unavailable::Call {
        call,
        reason: format!("{:?}", error.0),
    }
}

fn find_nvrtc() -> Result<Nvrtc, Unavailable> {
    if let Some(folder) = set_up_nvrtc() {
        // The compiler opens its builtins by name; loaded before, they are found without a search path.
        open_global(&folder.join("libnvrtc-builtins.so.13.0"))?;
        open_global(&folder.join("libnvrtc.so.13"))?;
    }
    // SAFETY: loads the compiler's library, whose initialisers may run on any thread at any time.
    if !unsafe { nvrtc::sys::is_culib_present() } {
        return Err(Unavailable::NotFound { library: "libnvrtc" });
    }
    // SAFETY: the library is present, as was just seen; the address is only compared with "absent".
    if unsafe { nvrtc::sys::culib().get::<*const ()>("nvrtcVersion") }.is_err() {
        return Err(Unavailable::Symbol {
            library: "libnvrtc",
            symbol: "nvrtcVersion",
        });
    }
    let (mut major, mut minor): (c_int, c_int) = (0, 0);
    // SAFETY: the symbol exists and writes one `int` to each of the two places.
    let status = unsafe { nvrtc::sys::nvrtcVersion(&raw mut major, &raw mut minor) };
    status.result().map_err(|error| Unavailable::Call {
        call: "nvrtcVersion",
        reason: format!("{error:?}"),
    })?;
    let version = Version {
        major: major.unsigned_abs(),
        minor: minor.unsigned_abs(),
    };
    let needed = Version::from_cuda(MIN_CUDA);
    if version < needed {
        return Err(Unavailable::TooOld {
            what: "NVRTC",
            found: version,
            needed,
        });
    }
    let path = ["libnvrtc.so.13", "libnvrtc.so"]
        .into_iter()
        .find_map(loaded_library);
    Ok(Nvrtc { version, path })
}

/// The folder of the set-up's NVRTC, or of the one that came with libtorch's CUDA side: beside the program, or in the
/// cache.
fn set_up_nvrtc() -> Option<PathBuf> {
    let cache = cache::cache_dir();
    let program = std::env::current_exe().ok();
    let installed = program.and_then(|program| Some(program.parent()?.join("libtorch")));
    let cached = cache.as_deref().map(cache::libtorch_dir);
    let with_libtorch = [installed, cached]
        .into_iter()
        .flatten()
        .map(|libtorch| cache::cuda_dir(&libtorch).join("nvidia/cu13/lib"));
    let own = cache.map(|cache| cache::nvrtc_dir(&cache).join("lib"));
    own.into_iter()
        .chain(with_libtorch)
        .find(|folder| folder.join("libnvrtc.so.13").exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_read_as_the_driver_states_them() {
        assert_eq!(Version::from_cuda(13_000).to_string(), "13.0");
        assert_eq!(Version::from_cuda(12_040).to_string(), "12.4");
        assert!(Version::from_cuda(12_090) < Version::from_cuda(MIN_CUDA));
    }

    #[test]
    fn reasons_are_short() {
        let old = Unavailable::TooOld {
            what: "driver",
            found: Version { major: 12, minor: 4 },
            needed: Version::from_cuda(MIN_CUDA),
        };
        assert_eq!(old.to_string(), "driver 12.4, needs 13.0");
        assert_eq!(
            Unavailable::NotFound { library: "libcuda" }.to_string(),
            "libcuda not found"
        );
    }

    #[test]
    fn probing_answers_on_any_machine() {
        match driver() {
            Ok(driver) => assert!(!driver.devices.is_empty() && driver.cuda >= Version::from_cuda(MIN_CUDA)),
            Err(reason) => println!("skipped: {reason}"),
        }
        match nvrtc() {
            Ok(nvrtc) => assert!(nvrtc.version >= Version::from_cuda(MIN_CUDA)),
            Err(reason) => println!("skipped: {reason}"),
        }
    }
}
