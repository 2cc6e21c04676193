//! How small records are, by size of frame and level, on real archives.

use std::fs;
use std::path::Path;

use anyhow::Context;
use zstd::bulk::Compressor;
use zstd::zstd_safe::CParameter;

use crate::archive::files;

const LEVELS: [i32; 2] = [1, 3];
const KIB: [usize; 4] = [16, 64, 256, 1024];

/// Compresses the text of all files below `directory` anew, file by file, and prints bytes per record.
pub(crate) fn compare(directory: &Path) -> anyhow::Result<()> {
    let mut texts = Vec::new();
    let mut on_disk = 0;
    for path in files(directory)? {
        let bytes = fs::read(&path)?;
        on_disk += bytes.len();
        texts.push(zstd::decode_all(&bytes[..]).with_context(|| path.display().to_string())?);
    }
    let lines: usize = texts.iter().map(|text| text.split_inclusive(|&byte| byte == b'\n').count()).sum();
    let records = (lines - texts.len()) as f64;
    println!("{} files, {records} records", texts.len());
    println!("| frames | bytes a record |\n|---|---|");
    let print = |name: String, bytes: usize| println!("| {name} | {:.1} |", bytes as f64 / records);
    print("as they are on disk".to_owned(), on_disk);
    let stream = |text: &Vec<u8>| zstd::encode_all(&text[..], 3).map(|bytes| bytes.len());
    print("one stream, level 3".to_owned(), texts.iter().map(stream).sum::<Result<usize, _>>()?);
    for level in LEVELS {
        let mut compressor = Compressor::new(level)?;
        compressor.set_parameter(CParameter::ContentSizeFlag(false))?;
        compressor.set_parameter(CParameter::ChecksumFlag(true))?;
        for kib in KIB {
            let mut bytes = 0;
            for text in &texts {
                for block in text.chunks(kib << 10) {
                    bytes += compressor.compress(block)?.len();
                }
            }
            print(format!("{kib} KiB, level {level}"), bytes);
        }
    }
    Ok(())
}
