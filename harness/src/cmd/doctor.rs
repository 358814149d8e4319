//! `hitbench doctor`: what was found on this machine, and what is unavailable and why.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;

use hitbench_kernels::cuda::probe;
use hitbench_kernels::{available_kernels, cache, map};
use hitbench_reports::record::{MachineRecord, ToolRecord};
use serde::Serialize;

use super::console::stdout;
use crate::machine;

/// Prints what was found: libtorch, CUDA driver, NVRTC, processor, memory, kernels.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  hitbench doctor --json")]
pub struct DoctorArgs {
    /// Print one JSON object (schema hitbench.doctor/1).
    #[arg(long)]
    pub json: bool,
}

/// Runs the command. What is missing is an answer, not an error.
///
/// # Errors
/// When standard output cannot be written, or the program's own file not be read.
pub fn run(args: &DoctorArgs) -> io::Result<()> {
    let report = Report::collect()?;
    let mut out = stdout();
    if args.json {
        serde_json::to_writer(&mut out, &report)?;
        writeln!(out)
    } else {
        write!(out, "{report}")
    }
}

#[derive(Debug, Serialize)]
struct Report {
    schema: &'static str,
    tool: ToolRecord,
    machine: MachineRecord,
    physical_cores: Option<usize>,
    fingerprint: String,
    kernels: Vec<String>,
    checks: Vec<Check>,
}

/// One thing that may be there or not.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    available: bool,
    /// What was found, or why it is unavailable.
    detail: String,
    /// How to get it, where there is a way.
    remedy: Option<&'static str>,
}

impl Check {
    fn new(name: &'static str, found: Result<String, String>, remedy: Option<&'static str>) -> Self {
        match found {
            Ok(detail) => Self {
                name,
                available: true,
                detail,
                remedy: None,
            },
            Err(detail) => Self {
                name,
                available: false,
                detail,
                remedy,
            },
        }
    }
}

impl Report {
    fn collect() -> io::Result<Self> {
        let machine = machine::machine();
        Ok(Self {
            schema: "hitbench.doctor/1",
            tool: machine::tool()?,
            physical_cores: machine::physical_cores(),
            fingerprint: machine::fingerprint(&machine),
            machine,
            kernels: available_kernels().iter().map(ToString::to_string).collect(),
            checks: vec![
                Check::new(
                    "libtorch linked",
                    libtorch_linked(),
                    Some("`cargo xtask setup`, then `cargo build -p hitbench --features torch`"),
                ),
                Check::new("libtorch cached", libtorch_cached(), Some("`cargo xtask setup`")),
                Check::new("libtorch CUDA", libtorch_cuda(), None),
                Check::new("CUDA driver", driver(), None),
                Check::new("NVRTC", nvrtc(), Some("`cargo xtask setup`")),
            ],
        })
    }
}

fn libtorch_linked() -> Result<String, String> {
    let version = machine::LIBTORCH.ok_or("not in this build (feature `torch` is off)")?;
    let path = map::loaded_library("libtorch_cpu.so");
    Ok(path.map_or(version.to_owned(), |path| {
        format!("{version}, {}", path.display())
    }))
}

fn libtorch_cached() -> Result<String, String> {
    let cache =
        cache::cache_dir().ok_or("no cache folder: HITBENCH_CACHE, XDG_CACHE_HOME and HOME are unset")?;
    cached_in(&cache)
}

fn cached_in(cache: &Path) -> Result<String, String> {
    let folder = cache::libtorch_dir(cache);
    match std::fs::read_to_string(folder.join("build-version")) {
        Ok(version) => Ok(format!("{}, {}", version.trim(), folder.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(format!("not in {}", cache.display())),
        Err(error) => Err(format!("{}: {error}", folder.display())),
    }
}

fn libtorch_cuda() -> Result<String, String> {
    map::load_libtorch_cuda()
        .map(|path| path.display().to_string())
        .map_err(|error| error.to_string())
}

fn driver() -> Result<String, String> {
    let driver = probe::driver().map_err(|reason| reason.to_string())?;
    let version = driver
        .version
        .as_ref()
        .map_or(String::new(), |version| format!("{version}, "));
    let devices: Vec<_> = driver.devices.iter().map(|device| device.name.as_str()).collect();
    Ok(format!("{version}CUDA {}, {}", driver.cuda, devices.join(", ")))
}

fn nvrtc() -> Result<String, String> {
    let nvrtc = probe::nvrtc().map_err(|reason| reason.to_string())?;
    let path = nvrtc
        .path
        .as_ref()
        .map_or(String::new(), |path| format!(", {}", path.display()));
    Ok(format!("{}{path}", nvrtc.version))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (tool, machine) = (&self.tool, &self.machine);
        let mut line = |name: &str, text: &str| writeln!(f, "{name:<16}{text}");
        let dirty = if tool.dirty {
            ", built from a changed tree"
        } else {
            ""
        };
        line(
            "hitbench",
            &format!("{} ({}{dirty})", tool.version, tool.build_id),
        )?;
        for check in &self.checks {
            match (check.available, check.remedy) {
                (true, _) => line(check.name, &check.detail)?,
                (false, None) => line(check.name, &format!("unavailable: {}", check.detail))?,
                (false, Some(remedy)) => {
                    line(check.name, &format!("unavailable: {}; {remedy}", check.detail))?
                }
            }
        }
        let unknown = "unknown";
        line("CPU", machine.cpu_model.as_deref().unwrap_or(unknown))?;
        let physical = self
            .physical_cores
            .map_or(String::new(), |cores| format!(" ({cores} physical)"));
        line("cores", &format!("{}{physical}", machine.cores))?;
        line("CPU features", &machine.cpu_features.join(" "))?;
        let memory = machine
            .memory_bytes
            .map(|bytes| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30)));
        line("memory", memory.as_deref().unwrap_or(unknown))?;
        for gpu in &machine.gpus {
            let capability = gpu.compute_capability.as_deref().unwrap_or(unknown);
            let memory = gpu
                .memory_bytes
                .map(|bytes| format!(", {:.1} GiB", bytes as f64 / f64::from(1 << 30)));
            line(
                "GPU",
                &format!(
                    "{}, compute capability {capability}{}",
                    gpu.name,
                    memory.unwrap_or_default()
                ),
            )?;
        }
        line("system", &format!("{}, {}", machine.os, machine.arch))?;
        line("kernels", &self.kernels.join(" "))?;
        line("fingerprint", &self.fingerprint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_with_the_remedy() {
        let mut report = Report::collect().unwrap();
        report.checks = vec![
            Check::new("CUDA driver", Err("libcuda not found".to_owned()), None),
            Check::new(
                "libtorch cached",
                Err("not in /c".to_owned()),
                Some("`cargo xtask setup`"),
            ),
            Check::new("NVRTC", Ok("13.0".to_owned()), Some("unused")),
        ];
        let text = report.to_string();
        for line in [
            "CUDA driver     unavailable: libcuda not found\n",
            "libtorch cached unavailable: not in /c; `cargo xtask setup`\n",
            "NVRTC           13.0\n",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }

    #[test]
    fn a_cached_libtorch_is_found_by_its_version_file() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(
            cached_in(dir.path()),
            Err(format!("not in {}", dir.path().display()))
        );
        let folder = cache::libtorch_dir(dir.path());
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("build-version"), "2.11.0\n").unwrap();
        assert_eq!(cached_in(dir.path()), Ok(format!("2.11.0, {}", folder.display())));
    }

    #[test]
    fn the_linked_libtorch_is_that_of_the_build() {
        assert_eq!(libtorch_linked().is_ok(), cfg!(feature = "torch"));
    }

    #[test]
    fn the_object_for_machines_has_every_check() {
        let value = serde_json::to_value(Report::collect().unwrap()).unwrap();
        assert_eq!(value["schema"], "hitbench.doctor/1");
        let names: Vec<_> = value["checks"]
            .as_array()
            .unwrap()
            .iter()
            .map(|check| &check["name"])
            .collect();
        assert_eq!(
            names,
            [
                "libtorch linked",
                "libtorch cached",
                "libtorch CUDA",
                "CUDA driver",
                "NVRTC"
            ]
        );
        assert!(
            value["kernels"]
                .as_array()
                .unwrap()
                .iter()
                .any(|kernel| kernel == "reference/f64")
        );
    }
}
