//! What a worker makes of an input: pieces of the table, and of the report.

use std::io::{self, ErrorKind, Write};

use inetdiag::ReadError;

use crate::convert::{Converter, Table, Tally};
use crate::inputs::{Input, NotFound};
use crate::pipeline::{Emit, Stopped};
use crate::progress::Progress;
use crate::report::InputError;

/// A piece of what comes of an input.
#[derive(Debug)]
pub enum Piece {
    /// An archive of that name follows.
    Begin(String),
    /// Rows of it.
    Rows(Vec<u8>),
    /// Something wrong with it, and what there was until then.
    Fault(ReadError, Tally),
    /// Its end.
    End(Tally),
    /// An input that could not be read at all.
    Failed(String, InputError),
}

/// Converts one input after the other.
pub struct Worker<'a> {
    converter: Converter<Pieces>,
    progress: &'a Progress,
}

impl<'a> Worker<'a> {
    /// Makes rows of that table, without its header.
    pub fn new(table: Table, progress: &'a Progress) -> Self {
        Self { converter: Converter::with(Pieces::default(), table).without_header(), progress }
    }

    /// Converts what one input has. If nobody wants it any more, it ends.
    pub fn convert(&mut self, input: Result<Input, NotFound>, emit: &Emit<Piece>) {
        let fail = |name: &str, error| {
            // Whoever wants no rows wants no faults.
            let _ = emit.emit(Piece::Failed(name.to_owned(), error));
        };
        match input {
            // Nor does it matter then where it stopped.
            Ok(input) => drop(self.convert_all(&input, emit, fail)),
            Err((name, error)) => fail(&name, error),
        }
        // The pieces of this input end here.
        self.converter.out_mut().emit = None;
    }

    fn convert_all(
        &mut self,
        input: &Input,
        emit: &Emit<Piece>,
        fail: impl FnMut(&str, InputError),
    ) -> Result<(), Stopped> {
        let Self { converter, progress } = self;
        converter.out_mut().emit = Some(emit.clone());
        input.open(progress, fail, |name, mut archive| {
            progress.begin();
            emit.emit(Piece::Begin(name.to_owned()))?;
            let on_fault = |fault, so_far| {
                let _ = emit.emit(Piece::Fault(fault, so_far));
            };
            let tally = converter.convert(&mut archive, on_fault).map_err(|_| Stopped)?;
            converter.hand_on().map_err(|_| Stopped)?;
            emit.emit(Piece::End(tally))
        })
    }
}

/// Rows as pieces.
#[derive(Debug, Default)]
struct Pieces {
    emit: Option<Emit<Piece>>,
}

impl Write for Pieces {
    fn write(&mut self, rows: &[u8]) -> io::Result<usize> {
        let emitted = self.emit.as_ref().map(|emit| emit.emit(Piece::Rows(rows.to_vec())));
        if emitted == Some(Ok(())) { Ok(rows.len()) } else { Err(ErrorKind::BrokenPipe.into()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
