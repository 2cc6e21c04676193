//! Rules that lose and mark packets, and count them.

use std::io::Write;
use std::process::Stdio;

use netlab::Namespace;

/// Adds these rules, each with a counter of its name, to what comes into a namespace, before TCP sees it. `{}` in a rule is
/// where the counter goes.
pub(crate) fn incoming(namespace: &Namespace, rules: &[(&str, &str)]) {
    let mut text = String::from("table inet lab {\n");
    for (name, _) in rules {
        text += &format!("counter {name} {{ }}\n");
    }
    text += "chain incoming { type filter hook prerouting priority 0; policy accept;\n";
    for (name, rule) in rules {
        text += &rule.replace("{}", &format!("counter name {name}"));
        text += "\n";
    }
    text += "}\n}\n";
    load(namespace, &text);
}

/// Takes all rules away.
pub(crate) fn clear(namespace: &Namespace) {
    load(namespace, "delete table inet lab\n");
}

/// Packets that a rule met.
pub(crate) fn counted(namespace: &Namespace, name: &str) -> u64 {
    count(namespace, name, "packets ")
}

/// Their bytes, from the IP header on.
pub(crate) fn counted_bytes(namespace: &Namespace, name: &str) -> u64 {
    count(namespace, name, "bytes ")
}

fn count(namespace: &Namespace, name: &str, what: &str) -> u64 {
    let text = namespace.output("nft", &["list", "counter", "inet", "lab", name]);
    let (_, rest) = text.split_once(what).expect("counts both");
    rest.split([' ', '\n']).next().expect("a number").parse().expect("a number")
}

fn load(namespace: &Namespace, text: &str) {
    let mut nft = namespace.command("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn().expect("nft starts");
    nft.stdin.take().expect("is piped").write_all(text.as_bytes()).expect("reads");
    assert!(nft.wait().expect("ends").success(), "{text}");
}
