//! `csvtool streams` where something is wrong: with a file, with the command line, with whoever reads.

use std::fs;
use std::process::Stdio;

use crate::packets::*;
use crate::streams::{CLIENT, EXPECTED, SERVER, capture, connection, connections, files, gzip, streams, told};
use crate::support::*;

/// A segment whose TCP header says that it is four bytes long.
fn malformed() -> Packet {
    let mut packet = connection().swap_remove(2);
    packet.bytes[14 + 20 + 12] = 0x10;
    packet
}

#[test]
fn a_cut_file_costs_what_is_behind_the_cut() {
    let packets = connection();
    let whole = capture(&packets);
    let expected = told(&[], &capture(&packets[..12]));
    // The last packet has 16 bytes of its own and 54 of a frame.
    let at = whole.len() - 70;
    for cut in [&whole[..at + 1], &whole[..whole.len() - 1]] {
        let output = streams(&[], cut);
        let error = format!(
            "csvtool: standard input: cut at byte {at}: the packet there is not whole; what is before it was read\n"
        );
        assert_eq!((output.csv.as_str(), output.errors, output.code), (expected.as_str(), error, Some(1)));
    }
    // A cut of what is compressed: how much can be read of it is not known, but it is told.
    for compressed in [gzip(&whole), zstd::encode_all(&*whole, 1).expect("compresses")] {
        let output = streams(&[], &compressed[..compressed.len() - 4]);
        assert_eq!(output.code, Some(1));
        assert!(output.errors.contains("cannot read on at byte "), "{}", output.errors);
        assert!(output.csv.starts_with("src,sport,"));
    }
}

#[test]
fn what_is_wrong_with_a_file_is_told_on_one_line_and_the_others_are_read() {
    let packets = connection();
    let udp = |at| datagram(at, 17, CLIENT.0, SERVER.0, &[0; 8]);
    let short: Vec<_> = packets.iter().cloned().map(|packet| packet.cut(40)).collect();
    let mut some_short = packets.clone();
    some_short.insert(3, packets[3].clone().cut(40));
    for (content, error) in [
        (b"".to_vec(), "no packets: the file is empty"),
        (b"no capture, and longer than the header of one\n".to_vec(), "neither pcap nor pcapng"),
        (pcap(Order::Big, false, 105, &packets), "link layer 105 is not read, 13 packets are left out: Ethernet, "),
        (capture(&[]), "no TCP in it: there are no packets"),
        (
            capture(&[udp(0), udp(1), packets[3].clone().cut(40), malformed()]),
            "no TCP in it: of 4 packets 2 of other protocols, 1 cut within their headers (capture with a larger snap \
             length, such as tcpdump -s 128), 1 malformed",
        ),
        (capture(&short), "no TCP in it: of 13 packets 13 cut within their headers (capture with a larger snap length"),
        (capture(&packets)[..60].to_vec(), "cut at byte 24"),
    ] {
        let (_directory, paths) = files(&[("bad.pcap", content), ("good.pcap", capture(&packets))]);
        let output = streams(&[&paths[0], &paths[1]], b"");
        assert!(output.errors.starts_with(&format!("csvtool: {}: {error}", paths[0])), "{}: {error}", output.errors);
        assert_eq!((output.csv.as_str(), output.code), (EXPECTED, Some(1)), "{error}");
        assert_eq!(output.errors.lines().count(), 1, "{}", output.errors);
    }
    let output = streams(&[], &capture(&some_short));
    assert!(output.errors.contains("1 of 14 packets are cut within their headers, and left out"), "{}", output.errors);
    assert_eq!((output.csv.as_str(), output.code), (EXPECTED, Some(1)));
    let output = streams(&["/no/such/file"], b"");
    assert!(output.errors.starts_with("csvtool: /no/such/file: cannot open: "), "{}", output.errors);
    assert_eq!((output.csv.lines().count(), output.code), (1, Some(1)));
}

#[test]
fn other_packets_among_segments_are_nothing_wrong() {
    let mut packets = connection();
    packets.insert(5, datagram(25_000, 17, CLIENT.0, SERVER.0, &[0; 8]));
    assert_eq!(told(&[], &capture(&packets)), EXPECTED);
    // One that contradicts itself was sent so: that is told, but the file is good.
    packets.insert(5, malformed());
    let output = streams(&[], &capture(&packets));
    assert_eq!(output.errors, "csvtool: standard input: 1 malformed packets are left out\n");
    assert_eq!((output.csv.as_str(), output.code), (EXPECTED, Some(0)));
}

#[test]
fn a_wrong_command_line_and_a_reader_that_goes_away() {
    for (args, word) in [
        (&["streams", "--sort", "nothing"][..], "csvtool streams --list-columns"),
        (&["streams", "--totals", "--top", "1"], "cannot be used with"),
        (&["streams", "--host", "nowhere"], "192.0.2.0/24"),
        (&["--quiet", "streams"], "csvtool streams [OPTIONS] [FILE]..."),
    ] {
        let output = run_binary(args, b"");
        assert!(output.code == Some(2) && output.errors.contains(word), "{}", output.errors);
    }
    assert!(run_binary(["--help"], b"").csv.contains("csvtool streams --sort retransmits"));
    let (_directory, paths) = files(&[("a.pcap", capture(&connections(200)))]);
    let mut child = csvtool()
        .args(["streams", "--format", "jsonl", &paths[0]])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("can be started");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("ends");
    assert_eq!((String::from_utf8_lossy(&output.stderr).as_ref(), output.status.code()), ("", Some(0)));
    let Ok(full) = fs::OpenOptions::new().write(true).open("/dev/full") else {
        return skipped("no /dev/full");
    };
    let output = csvtool().args(["streams", &paths[0]]).stdout(full).output().expect("can be started");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("csvtool: cannot write the table: "));
}
