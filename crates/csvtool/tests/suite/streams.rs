//! `csvtool streams`: captures that are made here, and what must be told of them.

use std::fs;
use std::io::Write;

use crate::packets::*;
use crate::support::*;

pub(crate) const CLIENT: End = ([192, 0, 2, 1], 40000);
pub(crate) const SERVER: End = ([198, 51, 100, 2], 443);

/// A handshake, a request in two segments of which one is sent twice, an answer, FIN from both sides.
pub(crate) fn connection() -> Vec<Packet> {
    let up = |at, flags, seq, ack, window, payload| {
        segment(at, CLIENT, SERVER, Tcp { seq, ack, flags, window, payload, scale: None })
    };
    let down = |at, flags, seq, ack, payload| {
        segment(at, SERVER, CLIENT, Tcp { seq, ack, flags, window: 300, payload, scale: None })
    };
    let syn = Tcp { seq: 1000, flags: SYN, window: 64000, scale: Some(7), ..Tcp::default() };
    let syn_ack = Tcp { seq: 5000, ack: 1001, flags: SYN | ACK, window: 65000, scale: Some(8), ..Tcp::default() };
    vec![
        segment(0, CLIENT, SERVER, syn),
        segment(10_000, SERVER, CLIENT, syn_ack),
        up(10_500, ACK, 1001, 5001, 500, 0),
        up(11_000, ACK, 1001, 5001, 500, 1000),
        down(21_000, ACK, 5001, 2001, 0),
        up(30_000, ACK, 2001, 5001, 500, 1000),
        up(230_000, ACK, 2001, 5001, 500, 1000),
        down(240_000, ACK, 5001, 3001, 0),
        down(250_000, ACK, 5001, 3001, 500),
        up(251_000, ACK, 3001, 5501, 500, 0),
        up(1_500_000, FIN | ACK, 3001, 5501, 500, 0),
        down(1_510_000, FIN | ACK, 5501, 3002, 0),
        up(1_510_500, ACK, 3002, 5502, 500, 0),
    ]
}

/// Worked out by hand from the packets above; deviations are of single precision, which is seven digits.
pub(crate) const EXPECTED: &str = "\
src,sport,dst,dport,state,start_time,duration_s,packets,bytes,packets_s,bit_s,last_bit_s,max_bit_s,bitrate_variation,\
retransmits,retransmitted_bytes,spurious_retransmits,out_of_order,ahead_of_gap,gaps,gap_bytes,duplicate_acks,\
zero_window_events,zero_window_s,zero_window_probes,keep_alives,unseen_acked,strays,window_bytes,window_scale,\
syns,fins,resets,sacks,dsacks,ect,ce,ece,cwr,\
delay_samples,delay_min_us,delay_avg_us,delay_max_us,jitter_us,interarrival_deviation_s,packet_size_variation,health_score
192.0.2.1,40000,198.51.100.2,443,finalized,2026-01-02T03:04:05.000000Z,1.500000,8,3000,5.333,16000,24000,24000,,\
1,1000,0,0,0,0,0,0,\
0,0.000000,0,0,0,0,64000,7,\
1,1,0,0,0,0,0,0,0,\
3,10000,10000.0,10000,0.0,0.426795277,0.0000,60.0
198.51.100.2,443,192.0.2.1,40000,finalized,2026-01-02T03:04:05.010000Z,1.500000,5,500,3.333,2667,4000,4000,,\
0,0,0,0,0,0,0,0,\
0,0.000000,0,0,0,0,76800,8,\
1,1,0,0,0,0,0,0,0,\
3,500,666.7,1000,60.5,0.517996594,,99.5
";

pub(crate) fn capture(packets: &[Packet]) -> Vec<u8> {
    pcap(Order::Little, false, ETHERNET, packets)
}

pub(crate) fn streams(args: &[&str], input: &[u8]) -> Output {
    run_binary([&["streams"], args].concat(), input)
}

/// What is told of these files, which are all good.
pub(crate) fn told(args: &[&str], input: &[u8]) -> String {
    let output = streams(args, input);
    assert_eq!((output.errors.as_str(), output.code), ("", Some(0)));
    output.csv
}

/// A directory with these files, and their paths.
pub(crate) fn files(contents: &[(&str, Vec<u8>)]) -> (tempfile::TempDir, Vec<String>) {
    let directory = tempfile::tempdir().expect("a directory");
    let write = |(name, content): &(&str, Vec<u8>)| {
        let path = directory.path().join(name);
        fs::write(&path, content).expect("writes");
        path.display().to_string()
    };
    let paths = contents.iter().map(write).collect();
    (directory, paths)
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("compresses");
    encoder.finish().expect("compresses")
}

/// A column of a CSV.
fn column(csv: &str, name: &str) -> Vec<String> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let at = reader.headers().expect("a header").iter().position(|header| header == name).expect("the column");
    reader.records().map(|row| row.expect("a row")[at].to_owned()).collect()
}

/// As many connections of one segment each way, from ports 1000, 1001, ... and with 10, 20, ... bytes from the client.
pub(crate) fn connections(count: u16) -> Vec<Packet> {
    let packets = |number: u16| {
        let at = u64::from(number) * 1000;
        let client = ([192, 0, 2, number as u8], 1000 + number);
        let data = Tcp { seq: 1, ack: 1, flags: ACK, window: 9, payload: 10 + 10 * usize::from(number), scale: None };
        [
            segment(at, client, SERVER, data),
            segment(at + 500, SERVER, client, Tcp { ack: 1 + data.payload as u32, payload: 0, ..data }),
        ]
    };
    (0..count).flat_map(packets).collect()
}

#[test]
fn a_connection_comes_to_what_its_packets_say_in_every_kind_of_file() {
    let packets = connection();
    for order in Order::BOTH {
        for is_nano in [false, true] {
            assert_eq!(told(&[], &pcap(order, is_nano, ETHERNET, &packets)), EXPECTED, "{order:?} {is_nano}");
        }
        for tsresol in [None, Some(6), Some(9)] {
            assert_eq!(told(&["-"], &pcapng(order, tsresol, ETHERNET, &packets)), EXPECTED, "{order:?} {tsresol:?}");
        }
    }
}

#[test]
fn several_files_are_one_capture_compressed_or_not() {
    let packets = connection();
    let [first, second, third] = [&packets[..3], &packets[3..7], &packets[7..]];
    let (_directory, paths) = files(&[
        ("0.pcap", zstd::encode_all(&*capture(first), 1).expect("compresses")),
        ("1.pcapng", gzip(&pcapng(Order::Big, Some(9), ETHERNET, second))),
        ("2", capture(third)),
    ]);
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    assert_eq!(told(&paths, b""), EXPECTED);
    let last = fs::read(paths[2]).expect("is there");
    assert_eq!(told(&[paths[0], paths[1], "-"], &last), EXPECTED, "the last one from standard input");
    assert_ne!(told(&[paths[2], paths[1], paths[0]], b""), EXPECTED, "the order counts");
}

#[test]
fn a_connection_that_another_replaces_is_told_of_as_it_was_then() {
    let mut packets = connection();
    packets.truncate(3);
    let syn = Tcp { seq: 77_000, flags: SYN, window: 64000, scale: Some(7), ..Tcp::default() };
    packets.push(segment(2_000_000, CLIENT, SERVER, syn));
    packets.push(segment(9_000_000, CLIENT, SERVER, syn));
    let syn_ack = Tcp { seq: 88_000, ack: 77_001, flags: SYN | ACK, window: 65000, scale: Some(8), ..Tcp::default() };
    packets.push(segment(9_500_000, SERVER, CLIENT, syn_ack));
    // The capture goes on, though not with TCP.
    packets.push(datagram(11_000_000, 17, CLIENT.0, SERVER.0, &[0; 8]));
    let csv = told(&[], &capture(&packets));
    assert_eq!(column(&csv, "src"), ["192.0.2.1", "198.51.100.2", "192.0.2.1", "198.51.100.2"]);
    assert_eq!(column(&csv, "duration_s"), ["9.500000", "9.490000", "2.000000", "1.500000"]);
    assert_eq!(column(&csv, "state"), ["active"; 4]);
}

#[test]
fn what_is_not_known_is_an_empty_cell_and_no_key() {
    let data = Tcp { seq: 1, ack: 1, flags: ACK, window: 9, payload: 10, scale: None };
    let input = capture(&[segment(0, CLIENT, SERVER, data)]);
    let csv = told(&[], &input);
    let unknown = [
        "packets_s",
        "bit_s",
        "last_bit_s",
        "max_bit_s",
        "bitrate_variation",
        "window_bytes",
        "window_scale",
        "delay_min_us",
        "delay_avg_us",
        "delay_max_us",
        "jitter_us",
        "interarrival_deviation_s",
        "packet_size_variation",
    ];
    let json: serde_json::Value = serde_json::from_str(&told(&["--format", "jsonl"], &input)).expect("JSON");
    let names = csv.lines().next().expect("a header").split(',');
    for name in names {
        let is_unknown = unknown.contains(&name);
        assert_eq!((column(&csv, name)[0].is_empty(), json.get(name).is_none()), (is_unknown, is_unknown), "{name}");
    }
    let table = told(&["--format", "table"], &input);
    assert!(table.lines().nth(1).is_some_and(|row| row.contains("  -  ")), "{table}");
}

#[test]
fn streams_are_sorted_cut_chosen_and_added_up() {
    let input = capture(&connections(12));
    let ports = |args: &[&str]| column(&told(args, &input), "sport");
    assert_eq!(ports(&["--top", "3"]), ["1000", "443", "1001"], "by the time of the first packet");
    let backwards = Tcp { seq: 1, ack: 1, flags: ACK, ..Tcp::default() };
    let both = [segment(5, SERVER, CLIENT, backwards), segment(7, CLIENT, SERVER, backwards)];
    assert_eq!(column(&told(&[], &capture(&both)), "sport"), ["443", "40000"]);
    assert_eq!(ports(&["--sort", "bytes", "--top", "2"]), ["1011", "1010"]);
    assert_eq!(ports(&["--sort", "src", "--top", "2"]), ["1000", "1001"]);
    assert_eq!(ports(&["--port", "1003,1004"]), ["1003", "443", "1004", "443"]);
    assert_eq!(ports(&["--host", "192.0.2.7"]), ["1007", "443"]);
    assert_eq!(ports(&["--host", "192.0.2.8/30,10.0.0.0/8", "--port", "1009"]), ["1009", "443"]);
    assert!(ports(&["--port", "5"]).is_empty());
    let totals = told(&["--totals"], &input);
    let expected = [("streams", "24"), ("packets", "24"), ("bytes", "780"), ("until", "2026-01-02T03:04:05.011500Z")];
    assert_eq!(expected.map(|(name, _)| column(&totals, name)[0].clone()), expected.map(|(_, value)| value));
    let json = told(&["--totals", "--format", "jsonl", "--port", "1003"], &input);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json).expect("JSON")["bytes"], 40);
    let listed = told(&["--list-columns"], b"");
    let names: Vec<_> = listed.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names.join(","), EXPECTED.lines().next().expect("a header"));
}

#[test]
fn the_table_is_aligned_and_has_the_totals_below() {
    let table = told(&["--format", "table"], &capture(&connection()));
    let lines: Vec<&str> = table.lines().collect();
    let expected = "\
SOURCE            DESTINATION       STATE      TIME   PACKETS  BYTES    RATE         PEAK         DELAY MIN/AVG/MAX     RETRANS    SPURIOUS  OOO  GAPS  DUPACK  ZERO WINDOW  HEALTH
192.0.2.1:40000   198.51.100.2:443  finalized  1.50s  8        3.00 kB  16.0 kbit/s  24.0 kbit/s  10.0ms/10.0ms/10.0ms  1 (12.5%)  0         0    0     0       0            60.0
198.51.100.2:443  192.0.2.1:40000   finalized  1.50s  5        500 B    2.67 kbit/s  4.00 kbit/s  500us/667us/1.0ms     0          0         0    0     0       0            99.5

streams: 2 from 2026-01-02T03:04:05Z to 2026-01-02T03:04:06Z (1.51s), 13 packets, 3.50 kB
1 (7.69%) retransmitted, 0 of them in vain; 0 out of order, 0 gaps, 0 duplicate ACKs, 0 zero windows";
    assert_eq!(lines, expected.lines().collect::<Vec<_>>());
    let none = told(&["--format", "table", "--port", "5"], &capture(&connection()));
    assert_eq!(none, "no streams\n");
}

#[test]
fn a_reset_ends_both_streams() {
    let mut packets = connection();
    packets.truncate(6);
    let reset = Tcp { seq: 5001, ack: 2001, flags: RST | ACK, ..Tcp::default() };
    packets.push(segment(40_000, SERVER, CLIENT, reset));
    packets.push(datagram(5_000_000, 17, CLIENT.0, SERVER.0, &[0; 8]));
    let csv = told(&[], &capture(&packets));
    assert_eq!(column(&csv, "state"), ["reset"; 2]);
    assert_eq!(column(&csv, "duration_s"), ["0.040000", "0.030000"]);
    assert_eq!(column(&csv, "resets"), ["0", "1"]);
}

#[test]
fn a_file_is_written_whole_and_no_capture_is_replaced() {
    let (directory, paths) = files(&[("a.pcap", capture(&connection()))]);
    let table = directory.path().join("table.csv");
    assert_eq!(told(&["-o", table.to_str().expect("UTF-8"), &paths[0]], b""), "");
    assert_eq!(read(&table), EXPECTED);
    let output = streams(&["-o", &paths[0], &paths[0]], b"");
    assert!(output.errors.contains("is one of the captures to read"), "{}", output.errors);
    assert_eq!(output.code, Some(1));
    assert_eq!(fs::read(&paths[0]).expect("is there"), capture(&connection()));
    assert_eq!(fs::read_dir(directory.path()).expect("is there").count(), 2, "nothing else is left");
}
