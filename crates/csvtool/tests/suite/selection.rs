//! Chosen records: those rows of the whole table that meet what is asked.

use std::cell::RefCell;

use crate::support::*;

/// Rows of the whole table of an archive for which this holds, by names of columns.
fn rows(name: &str, holds: impl Fn(&dyn Fn(&str) -> String) -> bool) -> Vec<String> {
    let text = read(testdata(&format!("{name}.csv")));
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let names = reader.headers().expect("a header").clone();
    let lines = text.lines().skip(1);
    let chosen = reader.records().zip(lines).filter(|(row, _)| {
        let row = row.as_ref().expect("a row");
        let cell = |name: &str| row[names.iter().position(|known| known == name).expect("is there")].to_owned();
        holds(&cell)
    });
    chosen.map(|(_, line)| line.to_owned()).collect()
}

fn selected(args: &[&str], name: &str) -> (Vec<String>, String) {
    let path = testdata(&format!("{name}.jsonl")).display().to_string();
    let output = run_binary([args, &[&path]].concat(), b"");
    assert_eq!(output.code, Some(0), "{}", output.errors);
    (output.csv.lines().skip(1).map(str::to_owned).collect(), output.errors)
}

#[test]
fn records_are_chosen_by_connection_time_address_port_and_state() {
    for name in ["kernels", "addresses", "attributes", "lengths"] {
        let all = rows(name, |_| true);
        let first = |column: &str| {
            let found = RefCell::new(None);
            rows(name, |cell| {
                found.borrow_mut().get_or_insert_with(|| cell(column));
                false
            });
            found.into_inner().expect("there is a row")
        };
        let (uuid, port, state) = (first("UUID"), first("IDM.SockID.SPort"), first("IDM.State"));
        let (source, time) = (first("IDM.SockID.Src"), first("Timestamp"));
        assert_eq!(selected(&["--uuid", &uuid], name).0, rows(name, |cell| cell("UUID") == uuid), "{name}");
        let has_port =
            |cell: &dyn Fn(&str) -> String| [cell("IDM.SockID.SPort"), cell("IDM.SockID.DPort")].contains(&port);
        assert_eq!(selected(&["--port", &port], name).0, rows(name, has_port), "{name}");
        let has_host =
            |cell: &dyn Fn(&str) -> String| [cell("IDM.SockID.Src"), cell("IDM.SockID.Dst")].contains(&source);
        assert_eq!(selected(&["--host", &source], name).0, rows(name, has_host), "{name}");
        assert_eq!(selected(&["--state", &state], name).0, rows(name, |cell| cell("IDM.State") == state), "{name}");
        let later = selected(&["--since", &time], name).0;
        let earlier = selected(&["--until", &time], name).0;
        assert_eq!(later.len() + earlier.len(), all.len(), "{name}: {time}");
        assert!(selected(&["--since", "2100-01-01"], name).0.is_empty());
        // What has no time is of none.
        let timed = rows(name, |cell| !cell("Timestamp").is_empty());
        assert_eq!(selected(&["--since", "1900-01-01", "--until", "2100-01-01"], name).0, timed);
    }
}

#[test]
fn thinned_archives_keep_first_and_last_and_say_what_is_left_out() {
    let all = rows("lengths", |_| true);
    let (thinned, said) = selected(&["--every", "5"], "lengths");
    let mut expected: Vec<_> = all.iter().step_by(5).cloned().collect();
    if (all.len() - 1) % 5 != 0 {
        expected.extend(all.last().cloned());
    }
    assert_eq!(thinned, expected);
    assert_eq!(said, format!("csvtool: {} records are left out by --every\n", all.len() - expected.len()));
    let (all_of_them, said) = selected(&["--every", "1"], "lengths");
    assert_eq!((all_of_them, said.as_str()), (all, ""));
}
