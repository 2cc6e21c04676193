//! Reading what the daemon wrote.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use chrono::{DateTime, FixedOffset};
use inetdiag::{ArchivalRecord, InetDiagMsg, Metadata, Snapshot, TcpInfo};

/// One file of the archive.
#[derive(Debug)]
pub(crate) struct ArchiveFile {
    pub(crate) path: PathBuf,
    pub(crate) metadata: Metadata,
    pub(crate) records: Vec<ArchivalRecord>,
}

impl ArchiveFile {
    pub(crate) fn read(path: &Path) -> Self {
        let mut records: Vec<ArchivalRecord> = inetdiag::open(path)
            .and_then(|reader| reader.collect::<Result<_, _>>().map_err(std::io::Error::other))
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let metadata = records.remove(0).metadata.expect("the first line is the header");
        Self { path: path.to_owned(), metadata, records }
    }

    pub(crate) fn last(&self) -> Snapshot {
        Snapshot::decode(self.records.last().expect("a file has a record"))
    }

    pub(crate) fn last_tcp_info(&self) -> TcpInfo {
        self.last().tcp_info.expect("the last line has tcp_info")
    }

    pub(crate) fn idm(&self) -> InetDiagMsg {
        self.records[0].raw_idm.expect("a record has a header")
    }

    /// Local and remote address of the first record.
    pub(crate) fn ends(&self) -> (SocketAddr, SocketAddr) {
        let idm = self.idm();
        let end = |address: std::net::IpAddr, port| SocketAddr::new(address.to_canonical(), port);
        (end(idm.src(), idm.id.idiag_sport.get()), end(idm.dst(), idm.id.idiag_dport.get()))
    }

    pub(crate) fn timestamps(&self) -> Vec<DateTime<FixedOffset>> {
        self.records.iter().map(|record| record.timestamp).collect()
    }
}

/// Paths of all finished files, in order.
pub(crate) fn paths(output: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![output.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).expect("is readable").map(|entry| entry.expect("is readable")) {
            let path = entry.path();
            if path.file_name().is_some_and(|name| name == ".spool") {
                continue;
            }
            if path.is_dir() { directories.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// All finished files, each of them valid.
pub(crate) fn read(output: &Path) -> Vec<ArchiveFile> {
    paths(output).iter().map(|path| ArchiveFile::read(path)).collect()
}

/// Files in progress.
pub(crate) fn partials(output: &Path) -> usize {
    let entries = fs::read_dir(output.join(".spool")).expect("is readable");
    entries
        .filter(|entry| entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().ends_with(".partial")))
        .count()
}

/// Has `zstd` itself test every finished file.
pub(crate) fn zstd_test(output: &Path) {
    let tested = Command::new("zstd").args(["-t", "-q"]).args(paths(output)).status();
    match tested {
        Ok(status) => assert!(status.success(), "zstd -t says {status}"),
        Err(error) => eprintln!("not tested with zstd: {error}"),
    }
}
