//! What polls ask the kernel for, and what they ask instead of a kernel that refuses that.

use cache::LeftOut;
use inetdiag::AddressFamily;

use crate::filter::Compiled;
use crate::source::{Attributes, DumpRequest, DumpSource, Whose};

/// The dumps that make up a poll.
pub struct Asking {
    attributes: Attributes,
    filter: Compiled,
    /// What asks for the values of extended statistics, if there are any.
    values: Option<[u8; 12]>,
    /// One of both address families; or one each, where the kernel does not do that.
    dumps: Vec<Dump>,
}

/// One dump of each poll.
pub struct Dump {
    /// Whose sockets it is of.
    pub whose: Whose,
    /// Where it comes from.
    pub source: DumpSource,
    whole: DumpRequest,
    /// For the polls between those that ask for everything; `None` if all do.
    part: Option<DumpRequest>,
    /// Whether the last one was.
    pub complete: bool,
    /// Whether the kernel has ever answered it.
    pub answered: bool,
}

/// What is asked instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instead {
    /// Each address family by itself.
    EachFamily,
    /// Without a filter: what is not wanted has to be told from the rest here.
    Unfiltered,
    /// Without the values of extended statistics.
    Valueless,
}

impl Asking {
    /// Asks for these attributes of the sockets that pass the kernel's part of a filter.
    /// With `values`, of extended statistics, too.
    pub fn new(attributes: Attributes, filter: Compiled, values: Option<[u8; 12]>) -> Self {
        let mut asking = Self { attributes, filter, values, dumps: Vec::new() };
        asking.ask(&[Whose::Everybody]);
        asking
    }

    /// From now on another filter counts.
    pub fn set_filter(&mut self, filter: Compiled) {
        self.filter = filter;
        let whose: Vec<_> = self.dumps.iter().map(|dump| dump.whose).collect();
        self.ask(&whose);
    }

    /// What polls leave out that do not ask for everything.
    pub fn left_out(&self) -> LeftOut {
        self.attributes.part().map_or(LeftOut::NOTHING, |(_, left_out)| left_out)
    }

    /// The dumps of a poll.
    pub fn dumps(&mut self) -> &mut [Dump] {
        &mut self.dumps
    }

    /// The kernel refused a dump. Finds another way to ask, if there is one: then the poll is to begin anew.
    pub fn refused(&mut self, number: usize) -> Option<Instead> {
        let dump = self.dumps.get(number).filter(|dump| !dump.answered)?;
        match dump.whose {
            Whose::Everybody => {
                self.ask(&AddressFamily::ALL.map(Whose::Family));
                Some(Instead::EachFamily)
            }
            Whose::Family(_) if !self.filter.program.is_empty() => {
                self.set_filter(Compiled { program: Vec::new(), ..self.filter.clone() });
                Some(Instead::Unfiltered)
            }
            Whose::Family(_) if self.values.take().is_some() => {
                self.set_filter(self.filter.clone());
                Some(Instead::Valueless)
            }
            Whose::Family(_) => None,
        }
    }

    fn ask(&mut self, whose: &[Whose]) {
        self.dumps = whose.iter().map(|&whose| self.dump(whose)).collect();
    }

    fn dump(&self, whose: Whose) -> Dump {
        let Compiled { program, states, .. } = &self.filter;
        let request = |extensions| {
            let request = DumpRequest::connections(whose, extensions, *states, program);
            self.values.iter().fold(request, |request, values| request.with(values))
        };
        Dump {
            whose,
            source: DumpSource::default(),
            whole: request(self.attributes.whole()),
            part: self.attributes.part().map(|(extensions, _)| request(extensions)),
            complete: false,
            answered: false,
        }
    }
}

impl Dump {
    /// Its source and its request, and whether that asks for everything; for a part of it, if `in_part` and there is one.
    pub fn request(&mut self, in_part: bool) -> (&mut DumpSource, &mut DumpRequest, bool) {
        match &mut self.part {
            Some(part) if in_part => (&mut self.source, part, false),
            _ => (&mut self.source, &mut self.whole, true),
        }
    }

    /// Takes another request, to see what becomes of it.
    #[cfg(test)]
    pub fn set_whole(&mut self, request: DumpRequest) -> DumpRequest {
        std::mem::replace(&mut self.whole, request)
    }
}
