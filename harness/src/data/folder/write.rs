//! Writes any data set in the folder format.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufWriter, Write};
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::TensorView;

use super::super::dataset::{Dataset, ExpertFeatures, Split};
use super::super::error::DataError;
use super::{CAPTIONS_HEADER, DESCRIPTION, LEXICAL_HEADER, SPLITS_HEADER, check_ids};

/// Writes `data` into `folder`, which is made if need be; `dataset.yaml` comes last, so that a folder that
/// has one is whole. Reading it back gives the same content hash; rows of shared tables are written out.
///
/// # Errors
/// [`DataError::Exists`] when the folder has a `dataset.yaml`; [`DataError::BadId`] for ids that cannot name
/// a tensor; [`DataError::Write`].
pub fn write_folder(data: &Dataset, folder: &Path) -> Result<(), DataError> {
    let description = folder.join(DESCRIPTION);
    if description.exists() {
        return Err(DataError::Exists { path: description });
    }
    let ids: Vec<String> = data.videos.iter().map(|video| video.id.clone()).collect();
    check_ids(&description, &ids)?;
    let features = folder.join("features");
    fs::create_dir_all(&features).map_err(|source| DataError::Write {
        path: features.clone(),
        source,
    })?;

    let mut lines = format!(
        "format: 1\nname: {}\nabout: {}\ncaptions: captions.csv\nsplits: splits.csv\n",
        quoted(&data.name),
        quoted(&data.about)
    );
    if !data.lexical.is_empty() {
        lines.push_str("lexical: lexical.csv\n");
        let texts = data
            .videos
            .iter()
            .zip(&data.lexical)
            .map(|(video, text)| [video.id.as_str(), text]);
        write_csv(&folder.join("lexical.csv"), LEXICAL_HEADER, texts)?;
    }
    lines.push_str("experts:\n");
    for (index, expert) in data.experts.iter().enumerate() {
        let name = &expert.name;
        let with_times = write_expert(data, index, &features)?;
        let path = |ending: &str| quoted(&format!("features/{name}{ending}.safetensors"));
        let times = if with_times {
            format!(", times: {}", path(".times"))
        } else {
            String::new()
        };
        let line = format!(
            "  - {{name: {}, dim: {}, features: {}{times}}}\n",
            quoted(name),
            expert.dim,
            path("")
        );
        lines.push_str(&line);
    }
    let captions = data
        .captions
        .iter()
        .map(|caption| [caption.id.as_str(), &data.videos[caption.video].id, &caption.text]);
    write_csv(&folder.join("captions.csv"), CAPTIONS_HEADER, captions)?;
    // In the order of the videos, so that reading back numbers them alike.
    let mut split_of: BTreeMap<usize, Split> = BTreeMap::new();
    for split in Split::ALL {
        split_of.extend(data.splits.of(split).iter().map(|&video| (video, split)));
    }
    let splits = split_of
        .iter()
        .map(|(&video, split)| [data.videos[video].id.as_str(), split.name()]);
    write_csv(&folder.join("splits.csv"), SPLITS_HEADER, splits)?;
    replace(&description, |file| file.write_all(lines.as_bytes()))
}

/// Writes the features of one expert, and its times if any video has them; says whether.
fn write_expert(data: &Dataset, expert: usize, folder: &Path) -> Result<bool, DataError> {
    let spec = &data.experts[expert];
    let of_video = |video: usize| data.videos[video].experts[expert].as_ref();
    let mut rows: Vec<(&str, Vec<usize>, Vec<u8>)> = Vec::new();
    let mut times: Vec<(&str, Vec<usize>, Vec<u8>)> = Vec::new();
    for (
        video,
        ExpertFeatures {
            rows: values,
            times_s,
        },
    ) in (0..data.videos.len()).filter_map(|video| Some((video, of_video(video)?)))
    {
        let id = data.videos[video].id.as_str();
        let n_rows = values.n_rows(spec.dim);
        let flat = values.to_f32(spec.dim);
        rows.push((
            id,
            vec![n_rows, spec.dim],
            flat.iter().flat_map(|value| value.to_le_bytes()).collect(),
        ));
        if let Some(times_s) = times_s {
            let bytes = times_s.iter().flat_map(|time| time.to_le_bytes()).collect();
            times.push((id, vec![n_rows], bytes));
        }
    }
    write_tensors(&folder.join(format!("{}.safetensors", spec.name)), &rows)?;
    if times.is_empty() {
        return Ok(false);
    }
    write_tensors(&folder.join(format!("{}.times.safetensors", spec.name)), &times)?;
    Ok(true)
}

fn write_tensors(path: &Path, tensors: &[(&str, Vec<usize>, Vec<u8>)]) -> Result<(), DataError> {
    let failed = |source: safetensors::SafeTensorError| DataError::Write {
        path: path.to_owned(),
        source: std::io::Error::other(source),
    };
    let views = tensors.iter().map(|(id, shape, bytes)| {
        TensorView::new(Dtype::F32, shape.clone(), bytes)
            .map(|view| (*id, view))
            .map_err(failed)
    });
    let views = views.collect::<Result<Vec<_>, _>>()?;
    let bytes = safetensors::serialize(views, None).map_err(failed)?;
    replace(path, |file| file.write_all(&bytes))
}

fn write_csv<'a, const N: usize>(
    path: &Path,
    header: &str,
    rows: impl Iterator<Item = [&'a str; N]>,
) -> Result<(), DataError> {
    replace(path, |file| {
        let mut writer = csv::Writer::from_writer(file);
        writer.write_record(header.split(','))?;
        for row in rows {
            writer.write_record(row)?;
        }
        writer.flush()
    })
}

/// Writes a file under a temporary name and renames it.
fn replace(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&mut fs::File>) -> std::io::Result<()>,
) -> Result<(), DataError> {
    let failed = |source| DataError::Write {
        path: path.to_owned(),
        source,
    };
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut temporary = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    let mut file = BufWriter::new(temporary.as_file_mut());
    write(&mut file).and_then(|()| file.flush()).map_err(failed)?;
    drop(file);
    temporary.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// A string as JSON, which is YAML too.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
