//! Values as cells between tabs, as databases load them: no quotes, a few characters escaped.

/// Appends text. A tab, a line end or a backslash would end the cell or the row, or begin an escape.
pub fn write_text(out: &mut Vec<u8>, text: &[u8]) {
    for &byte in text {
        match byte {
            b'\t' => out.extend_from_slice(br"\t"),
            b'\n' => out.extend_from_slice(br"\n"),
            b'\r' => out.extend_from_slice(br"\r"),
            b'\\' => out.extend_from_slice(br"\\"),
            byte => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_end_a_cell_is_escaped() {
        let mut out = Vec::new();
        write_text(&mut out, b"a\tb\nc\\d, \"e\"\r");
        assert_eq!(out, br#"a\tb\nc\\d, "e"\r"#);
    }
}
