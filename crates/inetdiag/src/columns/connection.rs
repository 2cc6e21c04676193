//! What the header line of the archive says, repeated in each row, and what the recorder adds to a record.

use super::{Column, columns, is_zero_time};

/// Right behind the columns of the original: what identifies the row.
pub(super) const FIRST: &[Column] = columns! {
    "UUID" Text "" "" "name of the connection, unique in the world" = |r| r.metadata(|m| Some(m.uuid.as_str()));
    "Sequence" Int "" "" "number of the file among the files of the connection, from 0"
        = |r| r.metadata(|m| Some(m.sequence));
    "StartTime" Time "" "" "when the recorder first saw the connection"
        = |r| r.metadata(|m| Some(m.start_time).filter(|time| !is_zero_time(time)));
    "Final" Flag "" "" "whether this is the kernel's own last word on the connection, sent as the socket died"
        = |r| Some(r.record.is_final.into());
    "Poll" Uint "" "" "number of the poll that it is from, counted from the start of the recorder; absent if none"
        = |r| Some(r.record.poll?.into());
};

/// Behind all others: where the record is from.
pub(super) const LAST: &[Column] = columns! {
    "KernelRelease" Text "" "" "release of the kernel that answered" = |r| r.metadata(|m| m.kernel_release.as_deref());
    "BootID" Text "" "" "boot id of that kernel; cookies are unique within it"
        = |r| r.metadata(|m| m.boot_id.as_deref());
    "Interval" Text "" "" "polling interval that was meant" = |r| r.metadata(|m| m.interval.as_deref());
    "AchievedInterval" Text "" "" "mean polling interval of the second before the file was begun"
        = |r| r.metadata(|m| m.achieved_interval.as_deref());
    "AskedAttributes" Text "" "" "what polls asked the kernel for: full, lean or a list"
        = |r| r.metadata(|m| m.asked_attributes.as_deref());
    "Version" Text "" "" "program that wrote the archive, and its version" = |r| r.metadata(|m| m.version.as_deref());
};
