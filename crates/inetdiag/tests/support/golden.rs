//! Decoded records as text for people: what each says, and then only what changed.

use std::collections::BTreeMap;
use std::fmt::Debug;

use inetdiag::Snapshot;

/// One line per record: all fields of the first of each socket, then those that differ from the record before it.
pub(crate) fn decoded<'a>(snapshots: impl IntoIterator<Item = &'a Snapshot>) -> String {
    let mut last: BTreeMap<u64, Vec<(String, String)>> = BTreeMap::new();
    let mut text = String::new();
    for snapshot in snapshots {
        let Some(idm) = snapshot.idm else { continue };
        let fields = fields(snapshot);
        let before = last.entry(idm.id.cookie()).or_default();
        text += &format!("{:016X}", idm.id.cookie());
        for field in &fields {
            if !before.contains(field) {
                text += &format!(" {}={}", field.0, field.1);
            }
        }
        for (name, _) in before.iter().filter(|(name, _)| !fields.iter().any(|field| field.0 == *name)) {
            text += &format!(" -{name}");
        }
        text += "\n";
        *before = fields;
    }
    text
}

fn fields(snapshot: &Snapshot) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    let mut put = |name: &str, value: String| fields.push((name.to_owned(), value));
    if let Some(timestamp) = snapshot.timestamp {
        put("timestamp", timestamp.to_rfc3339());
    }
    let idm = snapshot.idm.expect("a socket");
    put("family", format!("{:?}", idm.family()));
    put("state", format!("{:?}", idm.state()));
    put("timer", format!("{}/{}/{}", idm.idiag_timer, idm.idiag_retrans, idm.idiag_expires));
    put("src", format!("{}#{}", idm.src(), idm.id.idiag_sport));
    put("dst", format!("{}#{}", idm.dst(), idm.id.idiag_dport));
    put("if", idm.id.idiag_if.to_string());
    put("queues", format!("{}/{}", idm.idiag_rqueue, idm.idiag_wqueue));
    put("uid", idm.idiag_uid.to_string());
    put("inode", idm.idiag_inode.to_string());
    put("observed", format!("{:#x}", snapshot.observed));
    put("not_fully_parsed", format!("{:#x}", snapshot.not_fully_parsed));
    put("malformed", format!("{:?}", snapshot.malformed));

    let mut value = |name: &str, value: Option<&dyn Debug>| {
        if let Some(value) = value {
            fields.push((name.to_owned(), format!("{value:?}")));
        }
    };
    macro_rules! values {
        ($($name:ident)*) => { $( value(stringify!($name), snapshot.$name.as_ref().map(|value| value as &dyn Debug)); )* };
    }
    values!(cong tos tclass class_id shutdown protocol skv6only mark cgroup_id sockopt ulp_info meminfo skmeminfo);
    values!(vegasinfo dctcpinfo bbrinfo);
    if let Some(info) = snapshot.tcp_info {
        // Sixty fields, each one of its own here. Zeros are left out, the length tells them from what is absent.
        fields.push(("tcp.len".to_owned(), info.payload_len().to_string()));
        let text = format!("{info:?}");
        let inner = text.split_once('{').expect("a struct").1.trim_matches([' ', '}']);
        for field in inner.split(", ") {
            let (name, value) = field.split_once(": ").expect("name and value");
            if value != "0" {
                fields.push((format!("tcp.{name}"), value.to_owned()));
            }
        }
    }
    fields
}
