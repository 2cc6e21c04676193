//! What a worker makes of inputs: pieces of the table, and of the report.

use inetdiag::ReadError;

use crate::convert::{Choice, Converter, Name, Product, Tally};
use crate::inputs::{Found, Input};
use crate::pipeline::{Emit, Stopped, Weigh};
use crate::progress::Progress;
use crate::report::InputError;

/// A piece of what comes of inputs.
#[derive(Debug)]
pub enum Piece<M> {
    /// An archive of that name follows.
    Begin(Name),
    /// What was made: of this archive, or of those before it, too.
    Made(M),
    /// The first thing wrong with it, and what there was until then.
    Fault(ReadError, Tally),
    /// Its end; and the last thing wrong with it, if there are more.
    End(Tally, Option<ReadError>),
    /// An input that could not be read at all.
    Failed(String, InputError),
}

impl<M: Weigh> Weigh for Piece<M> {
    fn weight(&self) -> usize {
        match self {
            Self::Made(made) => made.weight(),
            // A little, for there may be many.
            Self::Begin(_) | Self::Fault(..) | Self::End(..) | Self::Failed(..) => 256,
        }
    }
}

/// Converts some inputs after others.
pub struct Worker<'a, P> {
    converter: Converter<P>,
    progress: &'a Progress,
}

impl<'a, P: Product<Made: Weigh>> Worker<'a, P> {
    /// Makes this of those records.
    pub fn new(product: P, choice: Choice, progress: &'a Progress) -> Self {
        Self { converter: Converter::of(product, choice), progress }
    }

    /// Converts what these inputs have. If nobody wants it any more, it ends.
    pub fn convert(&mut self, inputs: Vec<Found>, emit: &Emit<Piece<P::Made>>) {
        // Nor does it matter then where it stopped.
        let _ = self.convert_all(inputs, emit);
    }

    fn convert_all(&mut self, inputs: Vec<Found>, emit: &Emit<Piece<P::Made>>) -> Result<(), Stopped> {
        let fail = |name: &str, error| emit.emit(Piece::Failed(name.to_owned(), error));
        for input in inputs {
            match input {
                Ok(input) => self.convert_one(&input, emit)?,
                Err((name, error)) => fail(&name, error)?,
            }
        }
        self.converter.finish(&mut |made| emit.emit(Piece::Made(made)))
    }

    fn convert_one(&mut self, input: &Input, emit: &Emit<Piece<P::Made>>) -> Result<(), Stopped> {
        let Self { converter, progress } = self;
        // Whoever wants no rows wants no faults.
        let tell = |piece| {
            let _ = emit.emit(piece);
        };
        let fail = |name: &str, error| tell(Piece::Failed(name.to_owned(), error));
        let only = converter.product().attributes();
        input.open(progress, fail, |name, archive| {
            progress.begin();
            emit.emit(Piece::Begin(name.clone()))?;
            let mut archive = match only {
                Some(only) => archive.only(only),
                None => archive,
            };
            let mut last = None;
            let on_fault = |fault, so_far: Tally| match so_far.faults {
                0 | 1 => tell(Piece::Fault(fault, so_far)),
                _ => last = Some(fault),
            };
            let tally = converter.convert(name, &mut archive, on_fault, &mut |made| emit.emit(Piece::Made(made)))?;
            emit.emit(Piece::End(tally, last))
        })
    }
}
