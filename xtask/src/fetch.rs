//! Fetching a pinned wheel with pip into the cache, or finding it there.
//!
//! pip downloads, so that the user's mirror, proxy and certificate settings apply; the hash decides. A wheel
//! gets its name only when it is whole and verified, so a stopped download leaves nothing that looks finished.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::tools::Python;
use crate::wheels::Wheel;

/// Returns the verified wheels in `folder`, fetching those that are not there or not the pinned ones.
///
/// `python` is called for only when something must be fetched: a filled cache needs neither Python nor network.
///
/// # Errors
/// [`Error::Download`] with all files to bring by hand, [`Error::MissingTool`], [`Error::Hash`] or [`Error::Io`].
pub fn ensure_all(
    wheels: &[Wheel],
    folder: &Path,
    python: impl Fn() -> Result<Python, Error>,
) -> Result<Vec<PathBuf>, Error> {
    let absent = |wheel: &&Wheel| !folder.join(wheel.file).exists();
    let ensured = wheels.iter().map(|wheel| {
        ensure(wheel, folder, &python).map_err(|error| match error {
            Error::Download {
                mut files,
                folder,
                reason,
            } => {
                files.extend(
                    wheels
                        .iter()
                        .filter(absent)
                        .map(|other| other.file)
                        .filter(|file| *file != wheel.file),
                );
                Error::Download {
                    files,
                    folder,
                    reason,
                }
            }
            other => other,
        })
    });
    ensured.collect()
}

fn ensure(
    wheel: &Wheel,
    folder: &Path,
    python: impl FnOnce() -> Result<Python, Error>,
) -> Result<PathBuf, Error> {
    let path = folder.join(wheel.file);
    if path.exists() {
        eprintln!("xtask: checking {}", wheel.file);
        let found = sha256(&path)?;
        if found == wheel.sha256 {
            return Ok(path);
        }
        eprintln!(
            "xtask: {} is torn or another file (sha256 {found}), fetching it again",
            path.display()
        );
    }
    let partial = folder.join(format!("{}.partial", wheel.file));
    remove_folder(&partial)?;
    fs::create_dir_all(&partial).map_err(Error::io("create", &partial))?;
    eprintln!("xtask: fetching {}", wheel.file);
    download(wheel, folder, &partial, &python()?)?;
    let fetched = partial.join(wheel.file);
    let found = sha256(&fetched)?;
    if found != wheel.sha256 {
        remove_folder(&partial)?;
        return Err(Error::Hash {
            path,
            expected: wheel.sha256,
            found,
        });
    }
    fs::rename(&fetched, &path).map_err(Error::io("rename into place", &path))?;
    remove_folder(&partial)?;
    Ok(path)
}

/// Deletes a folder that may not be there.
pub(crate) fn remove_folder(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("delete", path)(error)),
        _ => Ok(()),
    }
}

fn download(wheel: &Wheel, folder: &Path, partial: &Path, python: &Python) -> Result<(), Error> {
    // Hashes can be given to pip in a requirements file only. It then refuses another file by itself.
    let requirements = partial.join("requirements.txt");
    let text = format!("{} --hash=sha256:{}\n", wheel.requirement, wheel.sha256);
    fs::write(&requirements, text).map_err(Error::io("write", &requirements))?;

    let mut pip = python.pip();
    // The wheel of one fixed Python is taken, whichever Python runs pip. Without pip's own cache: a second copy of
    // half a gigabyte serves nobody.
    pip.args([
        "download",
        "--no-deps",
        "--no-cache-dir",
        "--only-binary=:all:",
        "--require-hashes",
    ])
    .args([
        "--python-version",
        "3.12",
        "--implementation",
        "cp",
        "--abi",
        "cp312",
    ]);
    for platform in wheel.platforms() {
        pip.args(["--platform", platform]);
    }
    if !io::stderr().is_terminal() {
        pip.arg("--quiet");
    }
    pip.arg("--dest")
        .arg(partial)
        .arg("--requirement")
        .arg(&requirements);
    pip.stdin(Stdio::null())
        .stdout(Stdio::from(io::stderr()))
        .stderr(Stdio::piped());

    let start = |source| Error::Start {
        command: "python -m pip download".to_owned(),
        source,
    };
    let mut child = pip.spawn().map_err(start)?;
    let mut said = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        for line in BufReader::new(stderr).split(b'\n') {
            said.push(String::from_utf8_lossy(&line.map_err(start)?).trim().to_owned());
        }
    }
    let status = child.wait().map_err(start)?;
    if status.success() && partial.join(wheel.file).exists() {
        return Ok(());
    }
    remove_folder(partial)?;
    Err(Error::Download {
        files: vec![wheel.file],
        folder: folder.to_owned(),
        reason: reason(&said),
    })
}

/// The line of pip's messages that tells most: a broken connection, else its first error, else its last line.
fn reason(said: &[String]) -> String {
    let connection = said.iter().rev().find_map(|line| {
        let (_, broken) = line.split_once("connection broken by '")?;
        Some(broken.rsplit_once("': ").map_or(broken, |(what, _url)| what))
    });
    let error = || said.iter().find_map(|line| line.strip_prefix("ERROR: "));
    let last = || {
        said.iter()
            .rev()
            .find(|line| !line.is_empty())
            .map(String::as_str)
    };
    connection
        .or_else(error)
        .or_else(last)
        .unwrap_or("nothing")
        .to_owned()
}

/// Hash of a file, in lower-case hexadecimal.
pub(crate) fn sha256(path: &Path) -> Result<String, Error> {
    let mut file = File::open(path).map_err(Error::io("read", path))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer).map_err(Error::io("read", path))?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
    }
    Ok(hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A wheel whose whole content is `pinned`.
    const WHEEL: Wheel = Wheel {
        requirement: "thing==1.0",
        file: "thing-1.0-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
        sha256: "3fab5c181bd28a09b64397df76ae2bfaf1eac182979b5fdb7a342858004f36af",
    };

    /// A stand-in for `python`, which runs `body` with the destination folder as `$dest`.
    fn python(folder: &Path, body: &str) -> Python {
        let path = folder.join("python");
        let find_dest =
            "for word do if [ \"$previous\" = --dest ]; then dest=$word; fi; previous=$word; done";
        fs::write(&path, format!("#!/bin/sh\n{find_dest}\n{body}\n")).unwrap();
        // Through `sh`: a file just written cannot be executed itself while another test's fork holds it open.
        Python::at(["sh", path.to_str().unwrap()])
    }

    fn never() -> Result<Python, Error> {
        panic!("nothing is to be fetched")
    }

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    fn cache() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let wheels = dir.path().join("wheels");
        fs::create_dir(&wheels).unwrap();
        (dir, wheels)
    }

    #[test]
    fn a_wheel_in_the_cache_needs_neither_python_nor_network() {
        let (_dir, wheels) = cache();
        fs::write(wheels.join(WHEEL.file), "pinned").unwrap();
        assert_eq!(ensure(&WHEEL, &wheels, never).unwrap(), wheels.join(WHEEL.file));
    }

    #[test]
    fn a_torn_wheel_is_fetched_again() {
        let (dir, wheels) = cache();
        fs::write(wheels.join(WHEEL.file), "pin").unwrap();
        let python = python(dir.path(), &format!("printf pinned > \"$dest/{}\"", WHEEL.file));
        let path = ensure(&WHEEL, &wheels, || Ok(python)).unwrap();
        assert_eq!(fs::read(path).unwrap(), b"pinned");
        assert_eq!(names(&wheels), [WHEEL.file]);
    }

    #[test]
    fn what_a_stopped_download_left_is_never_taken_for_a_wheel() {
        let (dir, wheels) = cache();
        let partial = wheels.join(format!("{}.partial", WHEEL.file));
        fs::create_dir(&partial).unwrap();
        // The stale file is even right, but this download does not finish.
        fs::write(partial.join(WHEEL.file), "pinned").unwrap();
        let python = python(dir.path(), "exit 1");
        assert!(matches!(
            ensure(&WHEEL, &wheels, || Ok(python)),
            Err(Error::Download { .. })
        ));
        assert!(names(&wheels).is_empty());
    }

    #[test]
    fn a_fetched_file_of_another_hash_is_refused_and_deleted() {
        let (dir, wheels) = cache();
        let python = python(dir.path(), &format!("printf other > \"$dest/{}\"", WHEEL.file));
        let message = ensure(&WHEEL, &wheels, || Ok(python)).unwrap_err().to_string();
        assert!(message.contains(WHEEL.sha256), "{message}");
        assert!(names(&wheels).is_empty());
    }

    #[test]
    fn without_network_the_message_says_which_file_to_put_where() {
        let (dir, wheels) = cache();
        let python = python(
            dir.path(),
            "echo \"WARNING: Retrying after connection broken by 'no route to host': /simple/thing/\" >&2\n\
             echo 'ERROR: No matching distribution found for thing==1.0' >&2\nexit 1",
        );
        let other = Wheel {
            file: "other.whl",
            ..WHEEL
        };
        let message = ensure_all(&[WHEEL, other], &wheels, || Ok(python.clone()))
            .unwrap_err()
            .to_string();
        let (first, second) = message.split_once('\n').unwrap();
        assert!(
            first.contains(&format!("put {} and other.whl into", WHEEL.file)),
            "{first}"
        );
        assert!(
            first.contains(&format!("into {} and run the command again", wheels.display())),
            "{first}"
        );
        assert_eq!(second.trim(), "pip says: no route to host");
    }

    #[test]
    fn pip_is_asked_for_the_pinned_file_and_every_platform_tag_in_its_name() {
        let (dir, wheels) = cache();
        let log = dir.path().join("log");
        let body = format!(
            "echo \"$*\" > {0}; cat \"$dest/requirements.txt\" >> {0}; printf pinned > \"$dest/{1}\"",
            log.display(),
            WHEEL.file
        );
        ensure(&WHEEL, &wheels, || Ok(python(dir.path(), &body))).unwrap();
        let log = fs::read_to_string(log).unwrap();
        for part in [
            "-m pip download --no-deps",
            "--platform manylinux2014_x86_64 --platform manylinux_2_17_x86_64 ",
            &format!("thing==1.0 --hash=sha256:{}", WHEEL.sha256),
        ] {
            assert!(log.contains(part), "{part} in {log}");
        }
    }
}
