//! libpcap, loaded when it is needed: it compiles filter expressions.

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::ptr::{self, NonNull};
use std::slice;

use libloading::Library;

use crate::capture::program::{Instruction, SNAP_LEN};

/// As distributions call it: the first name is the project's own, the second Debian's.
pub(in crate::capture) const NAMES: [&str; 2] = ["libpcap.so.1", "libpcap.so.0.8"];

const DLT_EN10MB: c_int = 1;
const DLT_RAW: c_int = 12;
/// The netmask of the interface is needed only for IPv4 broadcast addresses.
const PCAP_NETMASK_UNKNOWN: u32 = u32::MAX;
const PCAP_ERROR_PERM_DENIED: c_int = -8;
const OPTIMIZE: c_int = 1;
/// `PCAP_ERRBUF_SIZE`.
const MESSAGE_LEN: usize = 256;

/// What the bytes begin with that an expression is compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::capture) enum LinkLayer<'a> {
    /// An Ethernet header; the interface of this name is asked what the kernel can do there.
    Ethernet(&'a str),
    /// The IP header.
    Ip,
}

#[derive(Debug)]
pub(in crate::capture) enum PcapError {
    /// It is not installed, or is not what it seems.
    Library(libloading::Error),
    /// It may not look at the interface.
    Permission,
    /// What it says itself.
    Message(String),
}

impl From<libloading::Error> for PcapError {
    fn from(error: libloading::Error) -> Self {
        Self::Library(error)
    }
}

/// `pcap_t`.
type Handle = *mut c_void;

/// `struct bpf_insn`, the kernel's `sock_filter` under another name.
type BpfInstruction = libc::sock_filter;

/// `struct bpf_program`.
#[repr(C)]
struct BpfProgram {
    len: c_uint,
    instructions: *mut BpfInstruction,
}

/// The functions of libpcap that are used here.
#[derive(Debug)]
pub(in crate::capture) struct Pcap {
    create: unsafe extern "C" fn(*const c_char, *mut c_char) -> Handle,
    set_snaplen: unsafe extern "C" fn(Handle, c_int) -> c_int,
    activate: unsafe extern "C" fn(Handle) -> c_int,
    datalink: unsafe extern "C" fn(Handle) -> c_int,
    open_dead: unsafe extern "C" fn(c_int, c_int) -> Handle,
    compile: unsafe extern "C" fn(Handle, *mut BpfProgram, *const c_char, c_int, u32) -> c_int,
    freecode: unsafe extern "C" fn(*mut BpfProgram),
    geterr: unsafe extern "C" fn(Handle) -> *mut c_char,
    close: unsafe extern "C" fn(Handle),
    /// Declared last: it is dropped when nothing can call into it any more.
    _library: Library,
}

impl Pcap {
    /// The first there is of these names.
    pub(in crate::capture) fn load(names: &[&str]) -> Result<Self, PcapError> {
        // SAFETY: loading libpcap runs no initialisers but those of the C library and of libraries it is linked with.
        let library = names.iter().map(|name| unsafe { Library::new(*name) }).reduce(Result::or);
        let library = library.expect("there are names")?;
        // SAFETY: the signatures are those of <pcap/pcap.h>, the same since libpcap 1.0. The pointers are used only
        // while `_library` keeps the code in memory.
        unsafe {
            Ok(Self {
                create: *library.get(c"pcap_create")?,
                set_snaplen: *library.get(c"pcap_set_snaplen")?,
                activate: *library.get(c"pcap_activate")?,
                datalink: *library.get(c"pcap_datalink")?,
                open_dead: *library.get(c"pcap_open_dead")?,
                compile: *library.get(c"pcap_compile")?,
                freecode: *library.get(c"pcap_freecode")?,
                geterr: *library.get(c"pcap_geterr")?,
                close: *library.get(c"pcap_close")?,
                _library: library,
            })
        }
    }

    /// The program that accepts what the expression describes, with the snap length as its answer.
    pub(in crate::capture) fn compile(
        &self,
        expression: &str,
        link: LinkLayer<'_>,
    ) -> Result<Vec<Instruction>, PcapError> {
        let expression = c_string(expression)?;
        let session = match link {
            LinkLayer::Ethernet(interface) => self.open_live(interface)?,
            LinkLayer::Ip => self.open_dead()?,
        };
        let mut program = BpfProgram { len: 0, instructions: ptr::null_mut() };
        // SAFETY: the handle is open, the program is libpcap's structure, the expression ends with a zero.
        let result = unsafe {
            (self.compile)(session.handle(), &raw mut program, expression.as_ptr(), OPTIMIZE, PCAP_NETMASK_UNKNOWN)
        };
        if result != 0 {
            return Err(PcapError::Message(session.message()));
        }
        let compiled = if program.instructions.is_null() {
            Vec::new()
        } else {
            // SAFETY: libpcap has compiled `len` instructions there.
            let instructions = unsafe { slice::from_raw_parts(program.instructions, program.len as usize) };
            instructions
                .iter()
                .map(|&BpfInstruction { code, jt, jf, k }| Instruction { code, if_true: jt, if_false: jf, value: k })
                .collect()
        };
        // SAFETY: the program comes from `pcap_compile`, was copied, and is not used afterwards.
        unsafe { (self.freecode)(&raw mut program) };
        Ok(compiled)
    }

    fn open_dead(&self) -> Result<Session<'_>, PcapError> {
        // SAFETY: takes two numbers.
        let handle = unsafe { (self.open_dead)(DLT_RAW, SNAP_LEN as c_int) };
        let handle = NonNull::new(handle).ok_or_else(|| PcapError::Message("no memory".into()))?;
        Ok(Session { pcap: self, handle })
    }

    /// A handle that captures. Only such a one knows where the kernel of today keeps VLAN tags.
    fn open_live(&self, interface: &str) -> Result<Session<'_>, PcapError> {
        let interface = c_string(interface)?;
        let mut message = [0; MESSAGE_LEN];
        // SAFETY: the name ends with a zero, and the buffer has the length that libpcap asks for.
        let handle = unsafe { (self.create)(interface.as_ptr(), message.as_mut_ptr()) };
        let Some(handle) = NonNull::new(handle) else {
            // SAFETY: libpcap has written a message that ends with a zero; if it has not, there are zeros.
            let message = unsafe { CStr::from_ptr(message.as_ptr()) };
            return Err(PcapError::Message(message.to_string_lossy().into_owned()));
        };
        let session = Session { pcap: self, handle };
        // SAFETY: the handle is open and not yet activated.
        let result = unsafe {
            (self.set_snaplen)(session.handle(), SNAP_LEN as c_int);
            (self.activate)(session.handle())
        };
        // Above zero are warnings.
        if result == PCAP_ERROR_PERM_DENIED {
            return Err(PcapError::Permission);
        } else if result < 0 {
            return Err(PcapError::Message(session.message()));
        }
        // SAFETY: the handle is open and activated.
        let link = unsafe { (self.datalink)(session.handle()) };
        if link == DLT_EN10MB {
            Ok(session)
        } else {
            Err(PcapError::Message(format!("libpcap sees no Ethernet there, but link type {link}")))
        }
    }
}

/// An open handle; closed when dropped.
struct Session<'a> {
    pcap: &'a Pcap,
    handle: NonNull<c_void>,
}

impl Session<'_> {
    fn handle(&self) -> Handle {
        self.handle.as_ptr()
    }

    /// What went wrong last.
    fn message(&self) -> String {
        // SAFETY: the handle is open; the text belongs to it, ends with a zero, and is copied.
        unsafe { CStr::from_ptr((self.pcap.geterr)(self.handle())) }.to_string_lossy().into_owned()
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        // SAFETY: the handle is open and not used afterwards.
        unsafe { (self.pcap.close)(self.handle()) };
    }
}

fn c_string(text: &str) -> Result<CString, PcapError> {
    CString::new(text).map_err(|_| PcapError::Message("a zero byte in the text".into()))
}
