//! Labels of many samples, written once and used in each family.

use std::fmt::Write;

/// Sets of labels, one behind the other in one piece of memory.
#[derive(Debug, Clone, Default)]
pub struct Labels {
    text: String,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Labels {
    /// Room for so many.
    pub fn with_capacity(sets: usize, bytes: usize) -> Self {
        Self { text: String::with_capacity(sets * bytes), ends: Vec::with_capacity(sets) }
    }

    /// Another set: names and values of any text.
    pub fn push(&mut self, labels: &[(&str, &dyn std::fmt::Display)]) {
        let mut separator = '{';
        for (name, value) in labels {
            self.text.push(separator);
            self.text.push_str(name);
            self.text.push_str("=\"");
            // Writing to memory does not fail.
            let _ = write!(Escaped(&mut self.text), "{value}");
            self.text.push('"');
            separator = ',';
        }
        self.text.push('}');
        self.ends.push(self.text.len());
    }

    /// Each as it stands behind the name of a metric.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        begins.zip(&self.ends).map(|(begin, &end)| &self.text[begin..end])
    }
}

/// Text between quotes.
struct Escaped<'a>(&'a mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for letter in text.chars() {
            match letter {
                '\\' => self.0.push_str("\\\\"),
                '"' => self.0.push_str("\\\""),
                '\n' => self.0.push_str("\\n"),
                other => self.0.push(other),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_and_sets_kept_apart() {
        let mut labels = Labels::default();
        labels.push(&[("a", &"say \"C:\\\"\nnow"), ("b", &7)]);
        labels.push(&[("c", &"é")]);
        let all: Vec<_> = labels.iter().collect();
        assert_eq!(all, [r#"{a="say \"C:\\\"\nnow",b="7"}"#, r#"{c="é"}"#]);
    }
}
