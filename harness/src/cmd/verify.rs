//! `hitbench verify`: the conformance suite of the kernels, on this machine's back ends.

use std::io::{self, Write};

use clap::Args;
use comfy_table::CellAlignment;
use hitbench_kernels::conformance::{Finding, Verdict, verify};
use hitbench_kernels::{KernelError, KernelId, available_kernels, unavailable_kernels};
use serde::Serialize;

use super::console::stdout;
use super::console::table;
use super::failure::Failure;
use crate::exit_code::ExitCode;

/// Checks the kernels of this machine against the f64 reference: one row an operation and kernel.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  hitbench verify --kernel cpu/auto/f16\n\nThe row shows the result with the largest \
    share of its tolerance. Exit code 1 if any row failed."
)]
pub struct VerifyArgs {
    /// Only this kernel.
    #[arg(long, value_name = "ID")]
    kernel: Option<String>,
    /// Print one JSON object (schema hitbench.verify/1).
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
///
/// # Errors
/// [`Failure`] with exit code 2 for a kernel that does not exist or cannot run here.
pub fn run(args: &VerifyArgs) -> Result<ExitCode, Failure> {
    let (kernels, unavailable) = match &args.kernel {
        Some(name) => (vec![parse(name)?], Vec::new()),
        None => (available_kernels(), unavailable_kernels()),
    };
    let mut findings = Vec::new();
    for kernel in kernels {
        findings.extend(verify(kernel).map_err(failure)?);
    }
    let report = Report::new(&findings, unavailable);
    let mut out = stdout();
    if args.json {
        serde_json::to_writer(&mut out, &report).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        report.write(&mut out)?;
    }
    Ok(report.code())
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
    fn new(findings: &[Finding], unavailable: Vec<(KernelId, String)>) -> Self {
        let rows: Vec<Row> = findings.iter().map(Row::new).collect();
        let failed = findings.iter().any(|finding| finding.verdict == Verdict::Failed);
        let unavailable = unavailable.into_iter().map(|(kernel, reason)| Unavailable {
            kernel: kernel.to_string(),
            reason,
        });
        Self {
            schema: "hitbench.verify/1",
            reason: if failed { "verify" } else { "ok" },
            rows,
            unavailable: unavailable.collect(),
        }
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
        let findings = verify(parse(kernel).unwrap()).unwrap();
        let cuda = ("cuda/sm80/f16".parse().unwrap(), "no GPU".to_owned());
        let report = Report::new(&findings, vec![cuda]);
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
        let mut findings = verify(KernelId::Reference).unwrap();
        findings[2].verdict = Verdict::Failed;
        findings[2].deviation.error = f64::NAN;
        findings[2].deviation.tolerance = 1e-7;
        findings[2].deviation.worst = "query 3, item 5: score NaN, expected 1e0".to_owned();
        let report = Report::new(&findings, Vec::new());
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
        let error = failure(verify(absent).unwrap_err());
        assert_eq!(
            (error.code, error.reason),
            (ExitCode::Input, "unavailable-kernel")
        );
    }
}
