//! The project's own gate: what `docs/ci.md` tells others to do, done here.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::commands::{cargo, target_folder};
use crate::error::Error;
use crate::setup::setup;
use crate::tools::call;

/// Rows and columns of the embeddings that kernels are gated on.
const N_ROWS: usize = 300;
const DIM: usize = 48;
/// Kernels whose counts must be those of the reference.
const KERNELS: [&str; 2] = ["cpu/auto/f32", "cpu/auto/f16"];

/// Runs the smoke suite and gates it against its blessed baseline, gates the kernels' counts against the reference, and
/// this build's throughput against itself.
///
/// # Errors
/// Any [`Error`]; [`Error::Failed`] carries the exit code of the gate.
pub fn gate(root: &Path) -> Result<(), Error> {
    let libtorch = setup(root, false)?;
    let build = ["build", "--package", "hitbench", "--features", "torch"];
    call(cargo(root, &libtorch).args(build))?;
    let program = target_folder(root).join("debug/hitbench");
    let hitbench = || {
        let mut command = Command::new(&program);
        command.current_dir(root);
        command
    };
    let folder = target_folder(root).join("gate");
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Error::io("empty", &folder)(error));
        }
        _ => fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?,
    }

    let smoke = folder.join("smoke");
    call(
        hitbench()
            .args(["run", "suites/ci/smoke.yaml", "--out"])
            .arg(&smoke),
    )?;
    call(hitbench().args(["gate", "--explain", "--run"]).arg(&smoke))?;

    let [text, video] = [("text", 1), ("video", 2)].map(|(name, seed)| {
        let path = folder.join(format!("{name}.npy"));
        fs::write(&path, npy(&embeddings(seed))).map_err(Error::io("write", &path))?;
        Ok(path)
    });
    let (text, video) = (text?, video?);
    let eval = |kernel: &str, out: &Path| {
        let mut command = hitbench();
        command
            .arg("eval")
            .arg("--text")
            .arg(&text)
            .arg("--video")
            .arg(&video);
        call(command.args(["--no-ci", "--kernel", kernel, "--out"]).arg(out))
    };
    let (reference, baseline) = (folder.join("reference"), folder.join("reference.json"));
    eval("reference/f64", &reference)?;
    let reason = ["--reason", "the reference on this machine"];
    call(
        hitbench()
            .arg("bless")
            .arg(&reference)
            .arg("--to")
            .arg(&baseline)
            .args(reason),
    )?;
    for kernel in KERNELS {
        let out = folder.join(kernel.replace('/', "."));
        eval(kernel, &out)?;
        let mut command = hitbench();
        command.args(["gate", "--policy", "suites/gates/exact.yaml", "--baseline"]);
        call(command.arg(&baseline).arg("--run").arg(&out))?;
    }

    let mut command = hitbench();
    command.arg("gate").arg("--ab").arg(&program).arg(&program);
    call(command.args(["suites/ci/kernels.yaml", "--blocks", "3"]))
}

/// Whole numbers from -2 to 2: every kernel has their products and sums exactly, and many rows tie.
fn embeddings(seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        // A linear congruential generator (Numerical Recipes); its upper bits will do.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((state >> 16) % 5) as f32 - 2.0
    };
    (0..N_ROWS * DIM).map(|_| next()).collect()
}

/// A NumPy file.
fn npy(values: &[f32]) -> Vec<u8> {
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({N_ROWS}, {DIM}), }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}
