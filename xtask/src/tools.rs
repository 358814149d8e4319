//! The programs that the set-up needs: Python with pip for fetching, a C++ compiler for building `torch-sys`.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::Error;

/// A Python that has pip.
#[derive(Debug, Clone)]
pub struct Python {
    command: Vec<OsString>,
}

impl Python {
    /// Takes this program, with its leading arguments, as it is.
    pub fn at<const N: usize>(command: [&str; N]) -> Self {
        const { assert!(N > 0, "a command has a program") }
        Self {
            command: command.iter().map(Into::into).collect(),
        }
    }

    /// Finds the first of `python3` and `python` that has pip.
    ///
    /// # Errors
    /// [`Error::MissingTool`] naming Python or pip, whichever is missing.
    pub fn find() -> Result<Self, Error> {
        let names = ["python3", "python"];
        let mut without_pip = Vec::new();
        for name in names {
            if !runs(Command::new(name).arg("--version")) {
                continue;
            }
            if runs(Command::new(name).args(["-m", "pip", "--version"])) {
                return Ok(Self::at([name]));
            }
            without_pip.push(format!("{name} -m pip"));
        }
        Err(if without_pip.is_empty() {
            Error::MissingTool {
                what: "Python",
                tried: names.join(", "),
                remedy: "libtorch is fetched with pip, install Python 3 with pip",
            }
        } else {
            Error::MissingTool {
                what: "pip",
                tried: without_pip.join(", "),
                remedy: "libtorch is fetched with it, install it (package `python3-pip`, or `python3 -m ensurepip`)",
            }
        })
    }

    /// A `python -m pip` command.
    pub fn pip(&self) -> Command {
        let (program, arguments) = self.command.split_first().expect("a command has a program");
        let mut command = Command::new(program);
        command.args(arguments).args(["-m", "pip"]);
        command
    }
}

/// Checks that there is a C++ compiler, where `torch-sys` will look for one: `$CXX`, else `c++`.
///
/// # Errors
/// [`Error::MissingTool`].
pub fn check_cxx() -> Result<(), Error> {
    check_cxx_command(std::env::var_os("CXX").filter(|value| !value.is_empty()))
}

fn check_cxx_command(cxx: Option<OsString>) -> Result<(), Error> {
    let cxx = cxx.unwrap_or_else(|| "c++".into());
    // `CXX` may carry arguments or a wrapper (`ccache g++`).
    let text = cxx.to_string_lossy();
    let mut words = text.split_whitespace();
    let program = words.next().unwrap_or("c++");
    if runs(Command::new(program).args(words).arg("--version")) {
        return Ok(());
    }
    Err(Error::MissingTool {
        what: "C++ compiler",
        tried: text.into_owned(),
        remedy: "the binding to libtorch is compiled with it, install one (package `g++`) or set CXX",
    })
}

/// Whether a program of this name starts and reports success.
pub fn runs(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Runs a command to its end with this process's terminal.
///
/// # Errors
/// [`Error::Start`], or [`Error::Failed`] with the command's exit code.
pub fn call(command: &mut Command) -> Result<(), Error> {
    let line = describe(command);
    eprintln!("xtask: {line}");
    let status = command.status().map_err(|source| Error::Start {
        command: line.clone(),
        source,
    })?;
    if status.success() {
        return Ok(());
    }
    let code = status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(1);
    Err(Error::Failed { command: line, code })
}

fn describe(command: &Command) -> String {
    let name = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    let mut line = name.to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_compiler_is_named() {
        let message = check_cxx_command(Some("no-such-compiler-for-hitbench".into()))
            .unwrap_err()
            .to_string();
        assert!(
            message.starts_with("C++ compiler not found (tried no-such-compiler-for-hitbench)"),
            "{message}"
        );
    }

    #[test]
    fn a_compiler_may_carry_arguments() {
        // `true` accepts anything.
        check_cxx_command(Some("true --wrapped".into())).unwrap();
    }
}
