//! Unpacking chosen files of wheels into one folder that appears whole or not at all.

use std::collections::HashSet;
use std::fs::{self, File, Permissions};
use std::io::{self, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use zip::ZipArchive;

use crate::error::Error;
use crate::fetch::remove_folder;
use crate::wheels::Source;

/// Unpacks the sources into `destination`, lets `finish` complete the folder, and only then gives it its name.
///
/// `wheels` holds the file of each source, in order. What an interrupted call left is deleted first.
///
/// # Errors
/// [`Error::Zip`], [`Error::Layout`] when a wheel lacks an expected member, [`Error::Io`].
pub fn unpack(
    sources: &[Source],
    wheels: &[PathBuf],
    destination: &Path,
    finish: impl FnOnce(&Path) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut partial = destination.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    remove_folder(&partial)?;
    for (source, wheel) in sources.iter().zip(wheels) {
        eprintln!("xtask: unpacking {}", source.wheel.file);
        unpack_wheel(source, wheel, &partial)?;
    }
    finish(&partial)?;
    fs::rename(&partial, destination).map_err(Error::io("rename into place", destination))
}

fn unpack_wheel(source: &Source, wheel: &Path, folder: &Path) -> Result<(), Error> {
    let zip_error = |error| Error::Zip {
        path: wheel.to_owned(),
        source: error,
    };
    let file = File::open(wheel).map_err(Error::io("read", wheel))?;
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(zip_error)?;
    let mut matched = HashSet::new();
    for index in 0..archive.len() {
        let mut member = archive.by_index(index).map_err(zip_error)?;
        if member.is_dir() {
            continue;
        }
        // `enclosed_name` refuses names that lead out of the folder.
        let Some(name) = member
            .enclosed_name()
            .and_then(|name| name.to_str().map(str::to_owned))
        else {
            continue;
        };
        let Some((from, target)) = place(source, &name) else {
            continue;
        };
        matched.insert(from);
        let path = folder.join(target);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
        }
        let mut out = File::create(&path).map_err(Error::io("create", &path))?;
        io::copy(&mut member, &mut out).map_err(Error::io("write", &path))?;
        if member.unix_mode().is_some_and(|mode| mode & 0o100 != 0) {
            let executable = Permissions::from_mode(0o755);
            fs::set_permissions(&path, executable).map_err(Error::io("make executable", &path))?;
        }
    }
    match source.members.iter().find(|(from, _)| !matched.contains(from)) {
        Some(&(member, _)) => Err(Error::Layout {
            path: wheel.to_owned(),
            member,
        }),
        None => Ok(()),
    }
}

/// The rule that takes this member, and the member's place.
fn place(source: &Source, name: &str) -> Option<(&'static str, String)> {
    source.members.iter().find_map(|&(from, to)| {
        let rest = name.strip_prefix(from)?;
        (from.ends_with('/') || rest.is_empty()).then(|| (from, format!("{to}{rest}")))
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use zip::write::SimpleFileOptions;

    use super::*;
    use crate::wheels::Wheel;

    const SOURCE: Source = Source {
        wheel: Wheel {
            requirement: "thing==1.0",
            file: "thing-1.0-py3-none-any.whl",
            sha256: "",
        },
        members: &[("thing/lib/a.so", "lib/a.so"), ("thing/include/", "include/")],
    };

    fn wheel(folder: &Path, members: &[(&str, &str)]) -> PathBuf {
        let path = folder.join(SOURCE.wheel.file);
        let mut writer = zip::ZipWriter::new(File::create(&path).unwrap());
        for (name, text) in members {
            writer.start_file(*name, SimpleFileOptions::default()).unwrap();
            writer.write_all(text.as_bytes()).unwrap();
        }
        writer.finish().unwrap();
        path
    }

    #[test]
    fn only_listed_members_are_unpacked_and_leftovers_are_gone() {
        let dir = tempfile::tempdir().unwrap();
        let wheel = wheel(
            dir.path(),
            &[
                ("thing/lib/a.so", "a"),
                ("thing/lib/a.so.debug", "no"),
                ("thing/include/x/y.h", "y"),
                ("thing/include/../../../escape.h", "no"),
                ("thing/other", "no"),
            ],
        );
        let out = dir.path().join("out");
        let partial = dir.path().join("out.partial");
        fs::create_dir(&partial).unwrap();
        fs::write(partial.join("stale"), "").unwrap();
        unpack(&[SOURCE], &[wheel], &out, |folder| {
            assert!(
                folder != out && !out.exists(),
                "the folder has its name before it is whole"
            );
            Ok(())
        })
        .unwrap();
        assert_eq!(fs::read(out.join("lib/a.so")).unwrap(), b"a");
        assert_eq!(fs::read(out.join("include/x/y.h")).unwrap(), b"y");
        for absent in ["stale", "lib/a.so.debug", "other"] {
            assert!(!out.join(absent).exists(), "{absent}");
        }
        assert!(!partial.exists() && !dir.path().join("escape.h").exists());
    }

    #[test]
    fn a_wheel_that_lacks_a_member_gives_no_folder() {
        let dir = tempfile::tempdir().unwrap();
        let wheel = wheel(dir.path(), &[("thing/include/x.h", "")]);
        let out = dir.path().join("out");
        let error = unpack(&[SOURCE], &[wheel], &out, |_| Ok(())).unwrap_err();
        assert!(
            matches!(
                error,
                Error::Layout {
                    member: "thing/lib/a.so",
                    ..
                }
            ),
            "{error}"
        );
        assert!(!out.exists());
    }

    #[test]
    fn a_torn_archive_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let wheel = wheel(dir.path(), &[("thing/lib/a.so", "a"), ("thing/include/x.h", "")]);
        let bytes = fs::read(&wheel).unwrap();
        fs::write(&wheel, &bytes[..bytes.len() / 2]).unwrap();
        let message = unpack(&[SOURCE], &[wheel], &dir.path().join("out"), |_| Ok(()))
            .unwrap_err()
            .to_string();
        assert!(message.contains("thing-1.0-py3-none-any.whl"), "{message}");
    }
}
