//! `hitbench verify`: the conformance suite of the kernels, on this machine's back ends.

use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use comfy_table::CellAlignment;
use hitbench_kernels::conformance::{Finding, OPERATIONS, Verdict, verify};
use hitbench_kernels::id::LibtorchDevice;
use hitbench_kernels::{KernelError, KernelId, available_kernels, unavailable_kernels};
use hitbench_reports::record::{MachineRecord, RecordError, replace_file};
use serde::Serialize;

use super::console::stdout;
use super::console::table;
use super::failure::Failure;
use crate::exit_code::ExitCode;
use crate::machine;

/// Checks the kernels of this machine against the f64 reference: one row an operation and kernel.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  hitbench verify --kernel cpu/auto/f16\n  hitbench verify --device cuda:0 --out \
    verified\n\nThe row shows the result with the largest share of its tolerance. Exit code 1 if any row failed."
)]
pub struct VerifyArgs {
    /// Only this kernel.
    #[arg(long, value_name = "ID")]
    kernel: Option<String>,
    /// Only the kernels of this device.
    #[arg(long, value_name = "DEVICE", value_enum, conflicts_with = "kernel")]
    device: Option<Device>,
    /// Only this operation; may be given several times.
    #[arg(long = "operation", value_name = "NAME", value_parser = PossibleValuesParser::new(OPERATIONS))]
    operations: Vec<String>,
    /// Draw the inputs from this number; `0` are those that the tests draw. A GPU is tried with others each time, whose
    /// number is printed.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Write `verify.json` into this folder: what `--json` prints.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print one JSON object (schema hitbench.verify/1).
    #[arg(long)]
    pub json: bool,
}

/// Where kernels run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Device {
    /// The reference, SIMD kernels, libtorch on the CPU.
    Cpu,
    /// Our CUDA kernels on the first GPU, and libtorch on it.
    #[value(name = "cuda:0")]
    Cuda,
}

impl Device {
    fn runs(self, id: KernelId) -> bool {
        let on_gpu = match id {
            KernelId::Cuda { .. } => true,
            KernelId::Libtorch { device, .. } => device == LibtorchDevice::Cuda,
            _ => false,
        };
        on_gpu == (self == Self::Cuda)
    }
}

/// Runs the command.
///
/// # Errors
/// [`Failure`] with exit code 2 for a kernel that does not exist or cannot run here.
pub fn run(args: &VerifyArgs) -> Result<ExitCode, Failure> {
    let (kernels, unavailable) = match (&args.kernel, args.device) {
        (Some(name), _) => (vec![parse(name)?], Vec::new()),
        (None, device) => {
            let is_asked = |id: &KernelId| device.is_none_or(|device| device.runs(*id));
            let mut unavailable = unavailable_kernels();
            unavailable.retain(|(id, _)| is_asked(id));
            let kernels: Vec<KernelId> = available_kernels().into_iter().filter(is_asked).collect();
            // Whoever names a device wants it verified, not passed over.
            if let (true, Some((id, reason))) = (kernels.is_empty(), unavailable.first()) {
                return Err(failure(KernelError::Unavailable {
                    id: id.to_string(),
                    reason: reason.clone(),
                }));
            }
            (kernels, unavailable)
        }
    };
    let seed = args.seed.unwrap_or_else(|| match args.device {
        Some(Device::Cuda) => fresh_seed(),
        _ => 0,
    });
    let operations: Vec<&str> = match args.operations.is_empty() {
        true => OPERATIONS.to_vec(),
        false => args.operations.iter().map(String::as_str).collect(),
    };
    let mut findings = Vec::new();
    for kernel in kernels {
        findings.extend(verify(kernel, &operations, seed).map_err(failure)?);
    }
    let report = Report::new(seed, &findings, unavailable);
    if let Some(folder) = &args.out {
        report.save(folder)?;
    }
    let mut out = stdout();
    if args.json {
        serde_json::to_writer(&mut out, &report).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        report.write(&mut out)?;
    }
    Ok(report.code())
}

/// Another number each time, short enough to be typed again.
fn fresh_seed() -> u64 {
    RandomState::new().hash_one(()) % 1_000_000
}

fn parse(name: &str) -> Result<KernelId, Failure> {
    name.parse().map_err(failure)
}

fn failure(error: KernelError) -> Failure {
    match error {
        KernelError::UnknownKernel { .. } => {
            let names: Vec<String> = KernelId::all().map(|id| id.to_string()).collect();
            let help = format!("the kernels are {}", names.join(", "));
            Failure::message(ExitCode::Input, "unknown-kernel", error.to_string(), &help)
        }
        KernelError::Unavailable { .. } => {
            let help = "`hitbench verify` lists the kernels of this machine";
            Failure::message(ExitCode::Input, "unavailable-kernel", error.to_string(), help)
        }
        _ => Failure::new(ExitCode::Input, "kernel", error),
    }
}

#[derive(Debug, Serialize)]
struct Report {
    schema: &'static str,
    /// `ok`, or `verify` if any row failed.
    reason: &'static str,
    /// What the inputs were drawn from.
    seed: u64,
    /// Where.
    machine: MachineRecord,
    rows: Vec<Row>,
    unavailable: Vec<Unavailable>,
}

/// One operation of one kernel.
#[derive(Debug, Serialize)]
struct Row {
    kernel: String,
    operation: &'static str,
    verdict: &'static str,
    /// Of the result with the largest share of its tolerance; `null` if it is not a number.
    error: f64,
    tolerance: f64,
    /// Which result that is.
    worst: String,
    n_cases: u64,
    n_compared: u64,
    could_flip: Option<CouldFlip>,
}

/// Queries whose rank counts rounding within the tolerance can change.
#[derive(Debug, Serialize)]
struct CouldFlip {
    n_could_flip: u64,
    n_queries: u64,
}

#[derive(Debug, Serialize)]
struct Unavailable {
    kernel: String,
    reason: String,
}

impl Report {
    fn new(seed: u64, findings: &[Finding], unavailable: Vec<(KernelId, String)>) -> Self {
        let rows: Vec<Row> = findings.iter().map(Row::new).collect();
        let failed = findings.iter().any(|finding| finding.verdict == Verdict::Failed);
        let unavailable = unavailable.into_iter().map(|(kernel, reason)| Unavailable {
            kernel: kernel.to_string(),
            reason,
        });
        Self {
            schema: "hitbench.verify/1",
            reason: if failed { "verify" } else { "ok" },
            seed,
            machine: machine::machine(),
            rows,
            unavailable: unavailable.collect(),
        }
    }

    /// Writes `verify.json` into a folder, which is made if it is not there.
    fn save(&self, folder: &Path) -> Result<(), RecordError> {
        let path = folder.join("verify.json");
        let text = serde_json::to_vec_pretty(self).expect("reports are plain data");
        std::fs::create_dir_all(folder).map_err(|source| RecordError::Write {
            path: folder.to_owned(),
            source,
        })?;
        replace_file(&path, &text)
    }

    fn code(&self) -> ExitCode {
        if self.reason == "ok" {
            ExitCode::Fine
        } else {
            ExitCode::CheckFailed
        }
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let header = [
            "kernel",
            "operation",
            "cases",
            "max error",
            "tolerance",
            "verdict",
            "could flip",
        ];
        let mut rows = table(header, CellAlignment::Right);
        if let Some(operation) = rows.column_mut(1) {
            operation.set_cell_alignment(CellAlignment::Left);
        }
        for row in &self.rows {
            let could_flip = row.could_flip.as_ref();
            rows.add_row([
                row.kernel.clone(),
                row.operation.to_owned(),
                row.n_cases.to_string(),
                short(row.error),
                short(row.tolerance),
                row.verdict.to_owned(),
                could_flip.map_or(String::new(), |flip| {
                    format!("{} of {}", flip.n_could_flip, flip.n_queries)
                }),
            ]);
        }
        writeln!(out, "{}", rows.trim_fmt())?;
        writeln!(
            out,
            "\nmax error: of the result with the largest share of its tolerance; could flip: queries whose counts \
             rounding within the tolerance can change"
        )?;
        if self.seed != 0 {
            writeln!(out, "inputs drawn from --seed {}", self.seed)?;
        }
        for row in self.rows.iter().filter(|row| row.verdict == FAILED) {
            writeln!(out, "failed: {} {}: {}", row.kernel, row.operation, row.worst)?;
        }
        for Unavailable { kernel, reason } in &self.unavailable {
            writeln!(out, "unavailable: {kernel} ({reason})")?;
        }
        Ok(())
    }
}

/// The word for [`Verdict::Failed`].
const FAILED: &str = "failed";

impl Row {
    fn new(finding: &Finding) -> Self {
        let deviation = &finding.deviation;
        Self {
            kernel: finding.kernel.to_string(),
            operation: finding.operation,
            verdict: match finding.verdict {
                Verdict::Passed => "passed",
                Verdict::Failed => FAILED,
            },
            error: deviation.error,
            tolerance: deviation.tolerance,
            worst: deviation.worst.clone(),
            n_cases: finding.n_cases,
            n_compared: deviation.n_compared,
            could_flip: finding.could_flip.map(|(n_could_flip, n_queries)| CouldFlip {
                n_could_flip,
                n_queries,
            }),
        }
    }
}

/// Two digits.
fn short(number: f64) -> String {
    if number == 0.0 {
        "0".to_owned()
    } else {
        format!("{number:.1e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(report: &Report) -> String {
        let mut text = Vec::new();
        report.write(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn the_scalar_kernel_passes_in_every_row() {
        let kernel = "cpu/scalar/f32";
        let findings = verify(parse(kernel).unwrap(), &OPERATIONS, 0).unwrap();
        let cuda = ("cuda/sm80/f16".parse().unwrap(), "no GPU".to_owned());
        let report = Report::new(0, &findings, vec![cuda]);
        assert_eq!((report.code(), report.reason), (ExitCode::Fine, "ok"));
        let text = text(&report);
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[0].starts_with("kernel ") && lines[0].ends_with("could flip"),
            "{text}"
        );
        for (line, operation) in lines[1..].iter().zip([
            "rank_counts",
            "top_k",
            "scores",
            "info_nce",
            "ema_update",
            "enqueue",
        ]) {
            let words: Vec<&str> = line.split_whitespace().collect();
            assert_eq!(words[..2], [kernel, operation], "{text}");
            let (error, tolerance): (f64, f64) = (words[3].parse().unwrap(), words[4].parse().unwrap());
            assert!(
                0.0 < error && error <= tolerance && words[5] == "passed",
                "{text}"
            );
            assert_eq!(
                words.len(),
                if operation == "rank_counts" { 9 } else { 6 },
                "{text}"
            );
        }
        assert_eq!(lines[lines.len() - 1], "unavailable: cuda/sm80/f16 (no GPU)");
        assert_eq!(lines.len(), 10, "{text}");
    }

    #[test]
    fn a_wrong_result_is_shown_and_fails_the_command() {
        let mut findings = verify(KernelId::Reference, &OPERATIONS, 0).unwrap();
        findings[2].verdict = Verdict::Failed;
        findings[2].deviation.error = f64::NAN;
        findings[2].deviation.tolerance = 1e-7;
        findings[2].deviation.worst = "query 3, item 5: score NaN, expected 1e0".to_owned();
        let report = Report::new(7, &findings, Vec::new());
        assert_eq!(report.code(), ExitCode::CheckFailed);
        let text = text(&report);
        assert!(
            text.contains("failed: reference/f64 scores: query 3, item 5: score NaN, expected 1e0\n"),
            "{text}"
        );
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["reason"], "verify");
        assert_eq!(json["rows"][2]["verdict"], "failed");
        assert!(json["rows"][2]["error"].is_null() && json["rows"][0]["could_flip"]["n_queries"].is_u64());
    }

    #[test]
    fn a_device_has_its_own_kernels_and_no_others() {
        for id in KernelId::all() {
            assert_ne!(Device::Cpu.runs(id), Device::Cuda.runs(id), "{id}");
            assert_eq!(Device::Cuda.runs(id), id.to_string().contains("cuda"), "{id}");
        }
        let args = VerifyArgs {
            kernel: None,
            device: Some(Device::Cuda),
            operations: Vec::new(),
            seed: None,
            out: None,
            json: false,
        };
        if available_kernels().into_iter().any(|id| Device::Cuda.runs(id)) {
            println!("skipped: this machine has a GPU");
            return;
        }
        let error = run(&args).unwrap_err();
        assert_eq!(
            (error.code, error.reason),
            (ExitCode::Input, "unavailable-kernel")
        );
    }

    #[test]
    fn a_saved_report_is_what_json_prints() {
        let folder = tempfile::tempdir().unwrap();
        let args = VerifyArgs {
            kernel: Some("cpu/scalar/f32".to_owned()),
            device: None,
            operations: vec!["enqueue".to_owned(), "top_k".to_owned()],
            seed: Some(3),
            out: Some(folder.path().join("new")),
            json: true,
        };
        assert_eq!(run(&args).unwrap(), ExitCode::Fine);
        let saved = std::fs::read(folder.path().join("new/verify.json")).unwrap();
        let saved: serde_json::Value = serde_json::from_slice(&saved).unwrap();
        assert_eq!((&saved["seed"], &saved["reason"]), (&3.into(), &"ok".into()));
        assert!(saved["machine"]["cores"].is_u64() && saved["rows"][1]["operation"] == "enqueue");
    }

    #[test]
    fn kernels_that_cannot_be_verified_are_errors_of_input() {
        let unknown = parse("cpu/sse9/f32").unwrap_err();
        assert_eq!(
            (unknown.code, unknown.reason),
            (ExitCode::Input, "unknown-kernel")
        );
        assert!(
            unknown.to_text().contains("cpu/scalar/f32"),
            "{}",
            unknown.to_text()
        );
        let (absent, _) = unavailable_kernels()[0];
        let error = failure(verify(absent, &OPERATIONS, 0).unwrap_err());
        assert_eq!(
            (error.code, error.reason),
            (ExitCode::Input, "unavailable-kernel")
        );
    }
}
