//! Which local ports are listened on.

use netlink_packet_sock_diag::inet::ExtensionFlags;

use super::dump::{DumpError, DumpSource};
use super::request::{DumpRequest, Whose};
use crate::filter::States;

/// Asks the kernel for listeners, which it keeps in a table of their own.
#[derive(Debug)]
pub struct ListenerSource {
    source: DumpSource,
    request: DumpRequest,
}

impl Default for ListenerSource {
    fn default() -> Self {
        let request = DumpRequest::connections(Whose::Everybody, ExtensionFlags::empty(), States::LISTENERS, &[]);
        Self { source: DumpSource::default(), request }
    }
}

impl ListenerSource {
    /// The ports that are listened on, each as often as it is.
    pub fn ports<P: FromIterator<u16>>(&mut self, buffer: &mut [u8]) -> Result<P, DumpError> {
        let mut ports = Vec::new();
        let visit = |message: inetdiag::Message<'_>| ports.push(message.header().id.idiag_sport.get());
        self.source.dump(&mut self.request, buffer, visit).1.map(|()| ports.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::source::RECEIVE_BUFFER_LEN;

    #[test]
    fn ports_that_are_listened_on_are_told_and_no_others() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let listened = listener.local_addr().expect("is bound");
        let client = TcpStream::connect(listened).expect("connects");
        let mut buffer = vec![0; RECEIVE_BUFFER_LEN];
        let ports: Vec<u16> = ListenerSource::default().ports(&mut buffer).expect("the kernel answers");
        assert!(ports.contains(&listened.port()));
        assert!(!ports.contains(&client.local_addr().expect("is bound").port()));
    }
}
